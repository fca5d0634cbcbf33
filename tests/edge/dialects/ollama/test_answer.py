"""A chat answer becomes Ollama's document or lines, and both say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from edge.dialects import said
from edge.dialects.ollama.answer import OllamaRendering, unloaded
from policies.call import Aim, Call, Dialect, Form, Operation
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.edge.dialects.chunks import USAGE, aggregated, answers, call, chunk
from tests.edge.dialects.test_timing import timing

AT = "1970-01-01T00:00:00.000000Z"
HEAD: Object = {"model": "tiny", "created_at": AT}
TOOK: Object = {
    "total_duration": 10_000_000_000,
    "load_duration": 2_000_000_000,
    "prompt_eval_count": 7,
    "prompt_eval_duration": 4_000_000_000,
    "eval_count": 3,
    "eval_duration": 4_000_000_000,
}
FORMS = pytest.mark.parametrize("form", [Form.ONLY, Form.GENERATE])


def rendering(form: Form = Form.ONLY, aim: Aim = Aim.ANSWER, *, loaded: bool = False) -> OllamaRendering:
    return OllamaRendering(Call(Operation.CHAT, Dialect.OLLAMA, "tiny", form=form, aim=aim), timing(loaded=loaded))


def lines(*chunks: Object, form: Form = Form.ONLY, aim: Aim = Aim.ANSWER, loaded: bool = False) -> list[Object]:
    made = rendering(form, aim, loaded=loaded)
    body = made.begin(9) + b"".join(map(made.chunk, chunks)) + made.end({"usage": USAGE, "choices": []})
    assert body.endswith(b"\n")
    return [as_object(json.loads(line)) for line in body.decode().split("\n")[:-1]]


def whole(*chunks: Object, form: Form = Form.ONLY, aim: Aim = Aim.ANSWER) -> Object:
    return rendering(form, aim).whole(aggregated(chunks))


def gathered(found: list[Object]) -> Object:
    """What callers of the SDK make of the lines: text added up, calls in order, the last line's numbers."""
    *some, last = found
    assert all(line["done"] is False for line in some)
    assert last["done"] is True
    message: Object = {"role": "assistant", "content": ""}
    for line in found:
        said = as_object(line["message"])
        for name in ("content", "thinking"):
            if name in said:
                message[name] = as_str(message.get(name)) + as_str(said[name])
        if "tool_calls" in said:
            message["tool_calls"] = [*as_list(message.get("tool_calls")), *as_list(said["tool_calls"])]
    return {**last, "message": message}


def test_a_stream_of_text() -> None:
    found = lines(chunk(role="assistant", content=""), chunk(content="he"), chunk(content="llo"), chunk("stop"))
    assert found == [
        {**HEAD, "message": {"role": "assistant", "content": "he"}, "done": False},
        {**HEAD, "message": {"role": "assistant", "content": "llo"}, "done": False},
        {**HEAD, "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **TOOK},
    ]


def test_a_stream_of_generate() -> None:
    found = lines(chunk(reasoning="hm"), chunk(content="so"), chunk("length"), form=Form.GENERATE)
    assert found == [
        {**HEAD, "response": "", "thinking": "hm", "done": False},
        {**HEAD, "response": "so", "done": False},
        {**HEAD, "response": "", "done": True, "done_reason": "length", **TOOK},
    ]
    assert whole(chunk(reasoning="hm"), chunk(content="so"), chunk("length"), form=Form.GENERATE) == {
        **HEAD,
        "response": "so",
        "thinking": "hm",
        "done": True,
        "done_reason": "length",
        **TOOK,
    }


def test_a_completed_prompt_has_its_text_beside_no_message() -> None:
    pieces: list[Object] = [
        {"choices": [{"index": 0, "text": "he", "finish_reason": None}]},
        {"choices": [{"index": 0, "text": "y", "finish_reason": "stop"}]},
    ]
    assert [line["response"] for line in lines(*pieces, form=Form.GENERATE)] == ["he", "y", ""]
    answer: Object = {"choices": [{"index": 0, "text": "hey", "finish_reason": "stop"}], "usage": USAGE}
    assert rendering(Form.GENERATE).whole(answer)["response"] == "hey"


def test_thought_text_and_two_calls_in_turns() -> None:
    chunks = [
        chunk(reasoning="h"),
        chunk(reasoning_content="m"),
        chunk(content="so"),
        call(0, "", "weather", "c1"),
        call(1, "{", "time", "c2"),
        call(0, '{"city":'),
        call(1, "}"),
        call(0, '"Bonn"}'),
        chunk("tool_calls"),
    ]
    message: Object = {
        "role": "assistant",
        "content": "so",
        "thinking": "hm",
        "tool_calls": [
            {"id": "c1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Bonn"}}},
            {"id": "c2", "function": {"index": 1, "name": "time", "arguments": {}}},
        ],
    }
    found = lines(*chunks)
    assert [set(as_object(line["message"])) - {"role", "content"} for line in found] == [
        {"thinking"},
        {"thinking"},
        set(),
        {"tool_calls"},
        set(),
    ]
    assert gathered(found) == {**HEAD, "message": message, "done": True, "done_reason": "stop", **TOOK}


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "stop"), ("tool_calls", "stop"), ("length", "length"), ("content_filter", "stop"), ("other", "stop")],
)
def test_why_it_ended(finish: str, reason: str) -> None:
    assert lines(chunk(finish, content="x"))[-1]["done_reason"] == reason
    assert whole(chunk(finish, content="x"))["done_reason"] == reason


@pytest.mark.parametrize("arguments", ["{", "[]", "1", '{"a":1}}', "nonsense"])
def test_arguments_that_are_no_object_are_the_engines_failure(arguments: str) -> None:
    with pytest.raises(EngineBroke):
        lines(call(0, arguments, "f", "c1"), chunk("tool_calls"))
    with pytest.raises(EngineBroke):
        whole(call(0, arguments, "f", "c1"), chunk("tool_calls"))


@pytest.mark.parametrize("written", ["", '{"a":', "[1]"])
def test_a_call_cut_by_the_limit_is_left_out(written: str) -> None:
    """Clients call whatever they are told to, with nothing if that is what it says."""
    cut = (call(0, '{"a":1}', "f", "c1"), call(1, written, "g", "c2"), chunk("length"))
    told: JSON = [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}]
    assert as_object(lines(*cut)[0]["message"])["tool_calls"] == told
    assert as_object(whole(*cut)["message"])["tool_calls"] == told
    assert "tool_calls" not in as_object(whole(*cut[1:])["message"])


def test_a_call_of_nothing_is_the_engines_failure() -> None:
    with pytest.raises(EngineBroke):
        lines(call(0, "{}"), chunk("stop"))


def test_the_tokens_stand_beside_the_message() -> None:
    tokens: list[JSON] = [{"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": []}]
    choice: Object = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop", "logprobs": {"content": tokens}}
    assert lines({"choices": [choice]})[0]["logprobs"] == tokens
    assert whole({"choices": [choice]})["logprobs"] == tokens


def test_what_the_engine_timed_is_told() -> None:
    timings: Object = {"prompt_ms": 1500, "predicted_ms": 2500.0}
    last = lines(chunk(content="x"), {**chunk("stop"), "timings": timings})[-1]
    took = {"load_duration": 6_000_000_000, "prompt_eval_duration": 1_500_000_000, "eval_duration": 2_500_000_000}
    assert {name: last[name] for name in took} == took
    answer = whole(chunk(content="x"), {**chunk("stop"), "timings": timings})
    assert {name: answer[name] for name in took} == took


def test_what_nobody_knows_is_left_out() -> None:
    last = lines(chunk("stop", content="x"), loaded=True)[-1]
    assert "prompt_eval_duration" not in last
    assert last["load_duration"] == 6_000_000_000


@FORMS
def test_a_load_says_so_and_nothing_else(form: Form) -> None:
    told: Object = {"response": ""} if form is Form.GENERATE else {"message": {"role": "assistant", "content": ""}}
    expected = {**HEAD, **told, "done": True, "done_reason": "load"}
    chunks = (chunk(content="Hello"), call(0, "nonsense", "f"), chunk("length"))
    assert lines(*chunks, form=form, aim=Aim.LOAD) == [expected]
    assert whole(*chunks, form=form, aim=Aim.LOAD) == expected
    wish = Call(Operation.CHAT, Dialect.OLLAMA, "tiny", form=form, aim=Aim.UNLOAD)
    assert unloaded(wish, 0.0) == {**expected, "done_reason": "unload"}


@given(answers("stop", "tool_calls", "length"))
def test_a_stream_says_what_the_whole_answer_says(chunks: list[Object]) -> None:
    assert gathered(lines(*chunks)) == whole(*chunks)


@pytest.mark.parametrize("end", ["\u0085", "\u2028", "\u2029", "\r", "\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
def test_a_line_is_one_for_whoever_splits_texts_into_lines(end: str) -> None:
    """httpx, and so ollama-python, takes all that `str.splitlines` does."""
    text = f"é{end}b"
    body = OllamaRendering(Call(Operation.CHAT, Dialect.OLLAMA, "tiny"), timing()).chunk(chunk(content=text)).decode()
    (line,) = body.splitlines()
    assert json.loads(line)["message"]["content"] == text


def test_calls_that_cannot_be_held_are_the_engines_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said, "MOST", 1_000)
    begun, more = call(0, '{"a":"', "f", "c1"), call(0, "x" * 100)
    assert lines(begun, more, chunk("length"))
    with pytest.raises(EngineBroke):
        lines(begun, *[more] * 10, chunk("length"))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 257])
def test_a_call_of_what_is_no_name_is_the_engines_failure(name: str) -> None:
    for say in (lines, whole):
        with pytest.raises(EngineBroke):
            say(call(0, "{}", name, "c1"), chunk("tool_calls"))
        assert say(call(0, "{}", "functions.f:0", "c1"), chunk("tool_calls"))


@pytest.mark.parametrize("call_id", ["a\nb", "x" * 257])
def test_an_id_that_could_not_be_sent_back_is_not_given(call_id: str) -> None:
    for say in (lines, whole):
        assert json.dumps(call_id) not in json.dumps(say(call(0, "{}", "f", call_id), chunk("tool_calls")))
