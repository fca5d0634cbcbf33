"""Each tool call is introduced once, whatever the engine repeats."""

from __future__ import annotations

from edge.relay.fragments import Fragments
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
