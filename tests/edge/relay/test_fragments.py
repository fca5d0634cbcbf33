"""Each tool call is introduced once, whatever the engine repeats."""

from __future__ import annotations

import pytest

from edge.relay.fragments import Fragments
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object


def call(index: int | None, arguments: str, identity: str | None = None, name: str | None = None) -> Object:
    function: Object = {"arguments": arguments}
    if name is not None:
        function["name"] = name
    made: Object = {"function": function}
    if index is not None:
        made["index"] = index
    if identity is not None:
        made.update(id=identity, type="function")
    return made


def tidied(*deltas: Object, choice: int = 0) -> list[Object]:
    fragments = Fragments()
    for delta in deltas:
        fragments.tidy(choice, delta)
    return list(deltas)


def calls(*items: Object) -> Object:
    listed: list[JSON] = list(items)
    return {"tool_calls": listed}


def test_what_llama_cpp_python_repeats_is_said_once() -> None:
    first, second = tidied(
        {"role": None, "content": None, "function_call": {"name": "f"}, **calls(call(0, "{", "c1", "f"))},
        {"role": None, "content": None, "function_call": {"name": "f"}, **calls(call(0, "}", "c1", "f"))},
    )
    assert first == {"content": None, **calls(call(0, "{", "c1", "f"))}
    assert second == {"content": None, **calls(call(0, "}"))}


def test_regular_fragments_stay_as_they_are() -> None:
    deltas = (calls(call(0, "", "c1", "f")), calls(call(0, "{}")), calls(call(1, "", "c2", "g"), call(1, "{}")))
    assert tidied(*deltas) == [
        calls(call(0, "", "c1", "f")),
        calls(call(0, "{}")),
        calls(call(1, "", "c2", "g"), call(1, "{}")),
    ]


def test_whole_calls_that_share_an_index_or_have_none_get_their_own() -> None:
    deltas = tidied(
        calls(call(0, "{}", "c1", "f")), calls(call(0, "{}", "c2", "g")), calls(call(None, "{}", "c3", "h"))
    )
    assert [as_object(as_list(delta["tool_calls"])[0])["index"] for delta in deltas] == [0, 1, 2]


def test_nulls_go_but_for_content() -> None:
    assert tidied({"role": None, "content": None, "tool_calls": None}) == [{"content": None}]


def test_choices_do_not_mix() -> None:
    fragments = Fragments()
    left, right = calls(call(0, "{}", "c1", "f")), calls(call(0, "{}", "c1", "f"))
    fragments.tidy(0, left)
    fragments.tidy(1, right)
    assert left == right == calls(call(0, "{}", "c1", "f"))


def test_fragments_that_each_have_an_id_of_their_own_are_one_call() -> None:
    """vLLM until 0.8 made one up for every fragment; only the first has the name."""
    assert tidied(calls(call(0, "", "c1", "f")), calls(call(0, "{", "c2")), calls(call(0, "}", "c3"))) == [
        calls(call(0, "", "c1", "f")),
        calls(call(0, "{")),
        calls(call(0, "}")),
    ]


def test_fragments_without_an_index_belong_to_the_last_call() -> None:
    deltas = tidied(
        *(calls(call(None, "", "c1", "f")), calls(call(None, "{}")), calls(call(None, "", "c2", "g"))),
        calls(call(None, "{}")),
    )
    assert deltas == [
        *(calls(call(0, "", "c1", "f")), calls(call(0, "{}")), calls(call(1, "", "c2", "g"))),
        calls(call(1, "{}")),
    ]


def test_a_call_without_an_id_gets_one_that_is_its_answers_own() -> None:
    fragments = Fragments("0123456789abcdef" * 2)
    delta = calls(call(0, "{}", None, "f"), call(1, "{}", "given", "g"), call(2, "{}", None, "h"))
    fragments.tidy(0, delta)
    ids = [as_object(each)["id"] for each in as_list(delta["tool_calls"])]
    assert ids == ["call_0123456789abcdef01234567_0", "given", "call_0123456789abcdef01234567_1"]
    assert all(as_object(each)["type"] == "function" for each in as_list(delta["tool_calls"]))


@pytest.mark.parametrize("said", ["", "a\nb", "x" * 257, None, 7, {"x": "y"}])
def test_an_id_that_no_caller_could_send_back_is_none(said: JSON) -> None:
    for finish in (Fragments.tidy, Fragments.whole):
        delta = calls({"id": said, "type": said, "function": {"name": "f", "arguments": "{}"}})
        finish(Fragments("a"), 0, delta)
        made = as_object(as_list(delta["tool_calls"])[0])
        assert (made["id"], made["type"]) == ("call_a_0", "function")


def test_the_kind_of_a_call_is_what_it_has() -> None:
    delta = calls({"id": "c1", "type": "function", "custom": {"name": "f", "input": "x"}})
    assert as_object(as_list(tidied(delta)[0]["tool_calls"])[0])["type"] == "custom"


@pytest.mark.parametrize("name", ["a\nb", "x" * 257])
def test_a_call_of_what_is_no_name_breaks_the_answer(name: str) -> None:
    """The caller's next turn, which repeats it, would be a 400."""
    with pytest.raises(EngineBroke):
        tidied(calls(call(0, "{}", "c1", name)))


def test_without_ids_another_name_is_another_call() -> None:
    deltas = tidied(calls(call(0, "{}", None, "f")), calls(call(0, "{}", None, "g")))
    assert [as_object(as_list(delta["tool_calls"])[0])["index"] for delta in deltas] == [0, 1]


def test_what_says_nothing_of_a_call_is_left_out() -> None:
    assert tidied(calls(call(0, "", "c1")), calls(call(0, "", "c1", "f"))) == [{}, calls(call(0, "", "c1", "f"))]


def test_a_piece_before_its_calls_name_breaks_the_answer() -> None:
    with pytest.raises(EngineBroke):
        tidied(calls(call(0, "{", "c1")), calls(call(0, "}", "c1", "f")))


def test_calls_of_a_whole_message_have_ids_and_no_index() -> None:
    message = calls(call(0, "{}", "c1", "f"), call(0, "{}", "c2", "g"), call(None, "{}", None, "h"))
    Fragments("a").whole(0, message)
    assert [as_object(each)["id"] for each in as_list(message["tool_calls"])] == ["c1", "c2", "call_a_0"]
    assert all("index" not in as_object(each) for each in as_list(message["tool_calls"]))


@pytest.mark.parametrize(("kind", "written"), [("function", "arguments"), ("custom", "input")])
def test_calls_of_a_whole_message_have_arguments_always(kind: str, written: str) -> None:
    message = calls({"id": "c1", kind: {"name": "f", written: None}}, {"id": "c2", kind: {"name": "f"}})
    Fragments("a").whole(0, message)
    assert [as_object(as_object(each)[kind])[written] for each in as_list(message["tool_calls"])] == ["", ""]


def test_calls_of_a_whole_message_are_told_apart_by_where_they_stand() -> None:
    message = calls(call(0, "{}", None, "f"), call(0, '{"a":1}', None, "f"))
    Fragments("a").whole(0, message)
    assert [as_object(each)["id"] for each in as_list(message["tool_calls"])] == ["call_a_0", "call_a_1"]
