"""Ollama's requests become chat bodies, prompts to complete, inputs to embed."""

from __future__ import annotations

import base64
import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.intake import read_call
from edge.intake.ollama_params import NO_TOKENS, PLAIN
from edge.intake.routes import Routes
from policies.call import Aim, Call, Dialect, Form, Operation
from policies.errors import Refusal
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason
from tests.edge.dialects.arguments import TOO_MUCH, WRITTEN
from tests.edge.intake.refusals import refused

HI: Final[Object] = {"role": "user", "content": "hi"}
PNG: Final = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 9).decode()
OTHERS: Final = {
    "jpeg": base64.b64encode(b"\xff\xd8\xff\xe0\0\x10JFIF").decode(),
    "gif": base64.b64encode(b"GIF89a\x01\0").decode(),
    "webp": base64.b64encode(b"RIFF\x10\0\0\0WEBPVP8 ").decode(),
}
TOOL: Final[Object] = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def read(path: str, document: Object, *, strict: bool = False) -> Call:
    route = Routes().match("POST", path)
    assert route is not None
    return read_call(route, {"model": "tiny", **document}, strict=strict)


def ask(**more: JSON) -> Call:
    return read("/api/chat", {"messages": [HI], **more})


def generate(**more: JSON) -> Call:
    return read("/api/generate", {"prompt": "hi", **more})


def messages(*turns: JSON) -> list[JSON]:
    return as_list(ask(messages=list(turns)).body["messages"])


def seen(kind: str, data: str) -> Object:
    return {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,{data}"}}


def call_of(name: str, arguments: Object | None = None, **more: JSON) -> Object:
    function: Object = {"name": name} if arguments is None else {"name": name, "arguments": arguments}
    return {"function": function, **more}


def test_without_anything_that_is_said_there_is_no_chat() -> None:
    with refused(Reason.MISSING_PARAMETER, "messages"):
        ask(messages=[{"role": "system", "content": ""}])


def test_the_least_chat_streams() -> None:
    assert ask() == Call(Operation.CHAT, Dialect.OLLAMA, model="tiny", stream=True, body={"messages": [HI]})
    assert not ask(stream=False).stream
    assert ask(stream=None).stream


def test_the_least_generate_is_a_chat_of_one_turn() -> None:
    body: Object = {"messages": [HI]}
    assert generate() == Call(Operation.CHAT, Dialect.OLLAMA, model="tiny", stream=True, body=body, form=Form.GENERATE)
    assert generate(system="be kind", images=[PNG]).body["messages"] == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, seen("png", PNG)]},
    ]
    assert generate(prompt="", images=[PNG]).body["messages"] == [{"role": "user", "content": [seen("png", PNG)]}]
    assert generate(system="", suffix="", template="").body == body


@pytest.mark.parametrize(("form", "path"), [(Form.ONLY, "/api/chat"), (Form.GENERATE, "/api/generate")])
def test_options_go_on_under_their_chat_names(form: Form, path: str) -> None:
    options: Object = {
        "num_predict": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 7,
        "min_p": 0.1,
        "typical_p": 0.7,
        "seed": 1,
        "stop": ["END"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repeat_penalty": 1.1,
        "repeat_last_n": 64,
    }
    call = read(path, {"options": options, "messages": [HI], "prompt": "hi"})
    del options["num_predict"]
    assert (call.form, call.max_tokens) == (form, 9)
    assert call.body == {**options, "max_tokens": 9, "messages": [HI]}


@pytest.mark.parametrize("none", [-1, -2])
def test_no_limit_is_none(none: int) -> None:
    call = ask(options={"num_predict": none})
    assert call.max_tokens is None
    assert call.body == {"messages": [HI]}


def test_what_a_caller_does_not_steer_is_dropped_and_named() -> None:
    call = ask(
        options={"num_ctx": 4096, "num_gpu": 1, "mirostat": 2, "warp": 9},
        keep_alive="5m",
        truncate=True,
        messages=[{**HI, "colour": "red"}],
    )
    assert set(call.ignored) == {
        "options.num_ctx",
        "options.num_gpu",
        "options.mirostat",
        "options.warp",
        "messages[].colour",
        "truncate",
        "keep_alive",
    }
    assert call.body == {"messages": [HI]}
    assert generate(context=[1, 2], template="{{ .Prompt }}").ignored == ("context", "template")


def test_strict_listeners_still_take_what_is_known_and_useless() -> None:
    useless: Object = {"messages": [HI], "options": {"num_ctx": 1}, "keep_alive": 300}
    assert read("/api/chat", useless, strict=True).ignored == ("options.num_ctx", "keep_alive")
    with refused(Reason.UNKNOWN_PARAMETER, "options"):
        read("/api/chat", {"messages": [HI], "options": {"warp": 9}}, strict=True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"think": True}, {"chat_template_kwargs": {"enable_thinking": True}}),
        ({"think": False}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ({"think": "low"}, {"reasoning_effort": "low"}),
        ({"format": "json"}, {"response_format": {"type": "json_object"}}),
        ({"format": ""}, {}),
        (
            {"format": {"type": "object"}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}},
                }
            },
        ),
        ({"logprobs": True, "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"tools": []}, {}),
        ({"tools": [TOOL]}, {"tools": [TOOL]}),
    ],
)
def test_thinking_format_tokens_and_tools(asked: Object, told: Object) -> None:
    assert ask(**asked).body == {"messages": [HI], **told}


def test_all_that_is_said_as_the_system_is_one_message_at_the_start() -> None:
    system: Object = {"role": "system", "content": "be kind"}
    assert messages(system, HI, {"role": "system", "content": "and short"}) == [
        {"role": "system", "content": "be kind\n\nand short"},
        HI,
    ]


@pytest.mark.parametrize(("kind", "data"), [("png", PNG), *OTHERS.items()])
def test_a_picture_is_known_by_its_first_bytes(kind: str, data: str) -> None:
    turn: Object = {"role": "user", "content": "what is it", "images": [data]}
    assert messages(turn) == [{"role": "user", "content": [{"type": "text", "text": "what is it"}, seen(kind, data)]}]


def test_a_turn_of_tools() -> None:
    found = messages(
        HI,
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call_of("weather", {"city": "Bonn"})]},
        {"role": "tool", "content": "rain", "tool_name": "weather"},
    )
    assert found[1:] == [
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": "rain"},
    ]


@pytest.mark.parametrize("given", WRITTEN.values(), ids=WRITTEN)
def test_what_a_tool_was_called_with_goes_back_as_it_was(given: Object) -> None:
    (turn,) = messages({"role": "assistant", "tool_calls": [call_of("write", given)]})
    (call,) = as_list(as_object(turn)["tool_calls"])
    assert json.loads(as_str(as_object(as_object(call)["function"])["arguments"])) == given


@pytest.mark.parametrize("given", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_no_tool_was_called_with_is_refused(given: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "messages[].tool_calls[].function.arguments"):
        messages({"role": "assistant", "tool_calls": [{"function": {"name": "write", "arguments": given}}]})


def test_results_find_their_calls() -> None:
    """By the name of the call, by that of the function in order, or simply in order."""
    calls: list[JSON] = [call_of("f", {"a": 1}), call_of("g", id="mine"), call_of("f", {"a": 2}), call_of("h")]
    results: list[JSON] = [
        {"role": "tool", "content": "2", "tool_call_id": "mine"},
        {"role": "tool", "content": "1", "tool_name": "f"},
        {"role": "tool", "content": "3", "tool_name": "f"},
        {"role": "tool", "content": "4"},
        {"role": "tool", "content": "of nothing", "tool_name": "f"},
    ]
    found = [as_object(turn) for turn in messages({"role": "assistant", "tool_calls": calls}, *results)]
    made = [as_object(call)["id"] for call in as_list(found[0]["tool_calls"])]
    assert made == ["call_0", "mine", "call_1", "call_2"]
    assert [turn["tool_call_id"] for turn in found[1:]] == ["mine", "call_0", "call_1", "call_2", "call_3"]


def test_a_result_never_answers_a_call_of_an_earlier_turn() -> None:
    calls: list[JSON] = [{"role": "assistant", "tool_calls": [call_of("f", id=name)]} for name in ("old", "new")]
    result: Object = {"role": "tool", "content": "x", "tool_name": "f"}
    found = messages(calls[0], HI, calls[1], result, result)
    assert [as_object(turn)["tool_call_id"] for turn in found[-2:]] == ["new", "call_0"]


def test_a_picture_that_a_tool_gave_is_shown_after_it() -> None:
    found = messages({"role": "tool", "content": "see", "tool_call_id": "a", "images": [PNG]})
    assert found == [
        {"role": "tool", "tool_call_id": "a", "content": "see"},
        {"role": "user", "content": [seen("png", PNG)]},
    ]


def test_a_raw_prompt_and_one_with_a_suffix_are_completed() -> None:
    raw = generate(raw=True, options={"num_predict": 4, "top_k": 3}, think=True, logprobs=True)
    assert (raw.operation, raw.form, raw.stream, raw.max_tokens) == (Operation.COMPLETIONS, Form.GENERATE, True, 4)
    assert raw.body == {"prompt": "hi", "max_tokens": 4, "top_k": 3}
    assert raw.ignored == ("think", "logprobs")
    assert generate(prompt="def f(", suffix="return 1").body == {"prompt": "def f(", "suffix": "return 1"}
    assert generate(prompt="", suffix="return 1").body == {"prompt": "", "suffix": "return 1"}


@pytest.mark.parametrize("more", [{"system": "x"}, {"images": [PNG]}, {"format": "json"}])
def test_a_raw_prompt_has_nothing_beside_it(more: Object) -> None:
    with refused(Reason.INVALID_PARAMETER, next(iter(more))):
        generate(raw=True, **more)
    with pytest.raises(Refusal) as caught:
        generate(suffix="x", **more)
    assert caught.value.hint == PLAIN


@pytest.mark.parametrize(("path", "form"), [("/api/chat", Form.ONLY), ("/api/generate", Form.GENERATE)])
@pytest.mark.parametrize("keep_alive", [None, -1, "5m", 300, 0.5, "-1s", "1h30m"])
def test_nothing_to_answer_loads_the_model(path: str, form: Form, keep_alive: JSON) -> None:
    call = read(path, {"keep_alive": keep_alive})
    assert (call.aim, call.form, call.max_tokens, call.operation) == (Aim.LOAD, form, 1, Operation.CHAT)
    assert call.stream
    assert len(as_list(call.body["messages"])) == 1


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "0m0s"])
def test_nothing_to_keep_unloads_it(path: str, keep_alive: JSON) -> None:
    call = read(path, {"keep_alive": keep_alive, "prompt": "", "messages": []})
    assert call.aim is Aim.UNLOAD
    assert not call.stream


def test_keeping_nothing_behind_an_answer_is_ignored() -> None:
    call = ask(keep_alive=0)
    assert (call.aim, call.ignored) == (Aim.ANSWER, ("keep_alive",))


def test_inputs_are_embedded() -> None:
    given_: Object = {"input": ["a", "b"], "dimensions": 8}
    call = read("/api/embed", {**given_, "truncate": True, "options": {"num_ctx": 1}, "keep_alive": "5m"})
    assert call == Call(
        Operation.EMBEDDINGS,
        Dialect.OLLAMA,
        model="tiny",
        body={"input": ["a", "b"], "dimensions": 8, "encoding_format": "float"},
        ignored=("truncate", "options", "keep_alive"),
    )
    older = read("/api/embeddings", {"prompt": "a"})
    assert (older.body, older.form) == ({"input": "a", "encoding_format": "float"}, Form.EMBEDDING)


@pytest.mark.parametrize("document", [{"model": "tiny"}, {"name": "tiny"}, {"model": "tiny", "verbose": True}])
def test_a_model_is_shown_by_either_name(document: Object) -> None:
    route = Routes().match("POST", "/api/show")
    assert route is not None
    call = read_call(route, document)
    assert (call.operation, call.model) == (Operation.MODELS_SHOW, "tiny")
    with refused(Reason.MISSING_PARAMETER, "model"):
        read_call(route, {})


def turn(**more: JSON) -> Object:
    return {"messages": [{"role": "user", **more}]}


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "developer", "content": "x"}]}, "messages[].role"),
        (turn(content=[{"type": "text", "text": "x"}]), "messages[].content"),
        (turn(images=["http://169.254.169.254/"]), "messages[].images[]"),
        (turn(images=["data:image/png;base64," + PNG]), "messages[].images[]"),
        (turn(images=["aGVsbG8gd29ybGQ="]), "messages[].images[]"),
        (turn(images=[PNG + "!"]), "messages[].images[]"),
        ({"think": "hard"}, "think"),
        ({"format": "yaml"}, "format"),
        ({"format": {"$ref": "http://internal/"}}, "format"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"keep_alive": True}, "keep_alive"),
        ({"keep_alive": "1" * 65}, "keep_alive"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"num_predict": -3}}, "options.num_predict"),
        ({"options": {"repeat_last_n": 10**9}}, "options.repeat_last_n"),
        ({"stream": "yes"}, "stream"),
        ({"Model": "other"}, None),
    ],
)
def test_what_is_refused_is_named_in_the_dialects_own_words(document: Object, param: str | None) -> None:
    with refused(Reason.INVALID_PARAMETER, param):
        ask(**document)


def test_no_tokens_at_all_cannot_be_asked_for() -> None:
    with pytest.raises(Refusal) as caught:
        ask(options={"num_predict": 0})
    assert (caught.value.param, caught.value.hint) == ("options.num_predict", NO_TOKENS)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
ARGUMENTS = st.dictionaries(st.text("abc", max_size=3), st.integers(-9, 9) | WORDS, max_size=2)
TURNS = st.lists(
    st.one_of(
        st.builds(
            lambda words, pictures: {"role": "user", "content": words, "images": [PNG] * pictures},
            WORDS,
            st.integers(0, 2),
        ),
        st.builds(lambda words, thought: {"role": "assistant", "content": words, "thinking": thought}, WORDS, WORDS),
        st.builds(lambda given: {"role": "assistant", "tool_calls": [call_of("f", given)]}, ARGUMENTS),
        st.builds(lambda words: {"role": "tool", "content": words, "tool_name": "f"}, WORDS),
    ),
    min_size=1,
    max_size=6,
)


@given(TURNS, WORDS.filter(bool))
def test_every_word_picture_and_call_arrives_in_order(turns: list[JSON], system: str) -> None:
    first: Object = {"role": "system", "content": system}
    said = messages(first, *turns)
    assert "".join(map(told, said)) == system + "".join(map(asked, turns))


def asked(turn: JSON) -> str:
    """What a turn of the request says: thought, text, a mark for each picture, the calls."""
    assert isinstance(turn, dict)
    pictures = "<picture>" * len(as_list(turn.get("images")))
    calls = [as_object(as_object(call)["function"])["arguments"] for call in as_list(turn.get("tool_calls"))]
    return f"{turn.get('thinking', '')}{turn.get('content', '')}{pictures}{''.join(map(json.dumps, calls))}"


def told(turn: JSON) -> str:
    """The same of a turn of the chat body."""
    assert isinstance(turn, dict)
    content = turn["content"] or ""
    parts = [as_object(part) for part in content] if isinstance(content, list) else [{"type": "text", "text": content}]
    text = "".join(str(part["text"]) if part["type"] == "text" else "<picture>" for part in parts)
    calls = [as_object(as_object(call)["function"])["arguments"] for call in as_list(turn.get("tool_calls"))]
    given_ = "".join(json.dumps(json.loads(str(each))) for each in calls)
    return f"{turn.get('reasoning_content', '')}{text}{given_}"
