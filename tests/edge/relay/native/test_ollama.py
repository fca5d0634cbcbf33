"""Ollama's own answers, for callers who speak it."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ollama import ChatResponse, GenerateResponse

from edge.dialects.ollama.answer import OllamaRendering
from edge.dialects.timing import Timing
from edge.relay.native.ollama import OllamaReading
from edge.relay.sse import MAX_EVENT
from policies.call import Call, Dialect, Form, Operation
from policies.errors import EngineBroke
from policies.exchange import Client, Exchange, Usage
from policies.json import JSON, Object, as_list, as_object, as_str
from tests.edge.relay.native.events import ECHOED, cut, lines, read

_COUNTS: Object = {
    "total_duration": 9_000,
    "load_duration": 1_000,
    "prompt_eval_count": 7,
    "prompt_eval_duration": 3_000,
    "eval_count": 3,
    "eval_duration": 5_000,
}
_AT = "2026-11-21T10:00:00.123456789Z"


def reading(form: Form = Form.ONLY) -> OllamaReading:
    call = Call(Operation.CHAT, Dialect.OLLAMA, "mine", form=form, stream=True)
    timing = Timing(Exchange("0" * 32, Client("127.0.0.1", 1, "local")), lambda: 1.0, lambda: 0.0)
    return OllamaReading(call, OllamaRendering(call, timing), Usage(), 40)


def line(text: str = "", /, *, done: bool = False, at: JSON = _AT, **more: JSON) -> Object:
    message: Object = {"role": "assistant", "content": text}
    message |= {name: more.pop(name) for name in ("thinking", "tool_calls") if name in more}
    return {"model": ECHOED, "created_at": at, "message": message, "done": done, **more}


LAST = line(done=True, done_reason="stop") | _COUNTS


def documents(data: bytes) -> list[Object]:
    return [orjson.loads(each) for each in data.splitlines()]


@pytest.mark.parametrize("end", ["\u0085", "\u2028", "\u2029", "\x0b", "\x1c"])
def test_a_line_is_one_for_whoever_splits_texts_into_lines(end: str) -> None:
    """As httpx, and so ollama-python, does: by all that `str.splitlines` takes for an end."""
    data, _ = read(reading(), [lines(line(f"a{end}b", thinking=f"c{end}d"), LAST)])
    first, _ = data.decode().splitlines()
    assert as_object(orjson.loads(first)["message"])["content"] == f"a{end}b"


def test_lines_go_on_with_their_known_members() -> None:
    one = reading()
    call: Object = {
        "id": "c1",
        "function": {"index": 0, "name": "f", "arguments": {"a": 1}, "x": 1},
        "type": "function",
    }
    data, tokens = read(one, [lines(line("Hel", logprobs=[1]), line("lo", thinking="hm", tool_calls=[call]), LAST)])
    found = documents(data)
    for each in found:
        ChatResponse.model_validate(each)
    assert found[0] == {
        "model": "mine",
        "created_at": _AT,
        "message": {"role": "assistant", "content": "Hel"},
        "done": False,
    }
    assert as_object(found[1]["message"]) == {
        "role": "assistant",
        "content": "lo",
        "thinking": "hm",
        "tool_calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
    }
    assert found[2].items() >= {**_COUNTS, "done": True, "done_reason": "stop"}.items()
    assert (one.done, one.finish, tokens) == (True, "tool_calls", 4)
    assert one.settle()
    assert (one.usage.input, one.usage.output, one.usage.source) == (7, 3, "engine")


def test_generating_has_its_members_alone_and_no_context() -> None:
    one = reading(Form.GENERATE)
    told: Object = {"model": ECHOED, "created_at": _AT, "response": "Hello", "done": False}
    last: Object = {**told, "response": "", "done": True, "done_reason": "length", "context": [1, 2], **_COUNTS}
    found = documents(read(one, [lines(told, last)])[0])
    for each in found:
        GenerateResponse.model_validate(each)
    assert found[0] == {"model": "mine", "created_at": _AT, "response": "Hello", "done": False}
    assert "context" not in found[1]
    assert (found[1]["done_reason"], one.finish) == ("length", "length")


@pytest.mark.parametrize("at", [None, 5, "now", "2026-11-21T10:00:00Z<script>", "x" * 10_000])
def test_a_time_that_is_none_is_ours(at: JSON) -> None:
    found = documents(read(reading(), [lines(line("a", at=at), LAST)])[0])
    assert found[0]["created_at"] == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "broken",
    [
        {"error": "secret"},
        {"error": {"type": "secret error", "message": "secret"}},
        line(tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]),
        line(tool_calls=[{"function": {"arguments": {}}}]),
        line(tool_calls=["x"]),
    ],
)
def test_what_is_no_answer_breaks(broken: Object) -> None:
    with pytest.raises(EngineBroke) as raised:
        read(reading(), [lines(line("a"), broken, LAST)])
    assert "secret" not in raised.value.detail


@pytest.mark.parametrize("data", [b"{\n", b"[]\n", b"\xff\n", b"x" * (MAX_EVENT + 1)])
def test_a_line_that_is_no_object_breaks(data: bytes) -> None:
    with pytest.raises(EngineBroke):
        read(reading(), [data])


def test_an_endless_line_breaks_before_it_ends() -> None:
    one = reading()
    with pytest.raises(EngineBroke):
        read(one, [b"x" * 1024 * 1024] * 9)


def test_without_its_last_line_it_is_not_done() -> None:
    one = reading()
    read(one, [lines(line("a"))])
    assert not one.done


def test_a_line_without_a_newline_is_no_line() -> None:
    one = reading()
    assert read(one, [lines(LAST).rstrip()]) == (b"", 0)


_LINES = st.lists(st.builds(line, st.text(max_size=6), thinking=st.text(max_size=4)), max_size=8)


@given(_LINES, st.lists(st.integers(0, 10_000), max_size=12))
def test_however_it_is_cut_the_lines_are_the_same(said: list[Object], places: list[int]) -> None:
    data = lines(*said, LAST)
    assert read(reading(), cut(data, places)) == read(reading(), [data])
    found = documents(read(reading(), [data])[0])
    texts = [as_str(as_object(each["message"])["content"]) for each in found]
    assert texts[:-1] == [as_object(each["message"])["content"] for each in said]


@given(_LINES, st.integers(0, 10))
def test_wherever_it_is_cut_off_it_ends_well_formed(said: list[Object], allowed: int) -> None:
    one = reading()
    found: list[bytes] = []
    used = 0
    for piece in one.pieces(lines(*said, line("!", done=True, done_reason="stop"))):
        if piece.tokens and used + piece.tokens > allowed:
            found.append(one.cut(used))
            break
        used += piece.tokens
        found.append(piece.data)
    shown = documents(b"".join(found))
    assert [each["done"] for each in shown] == [False] * (len(shown) - 1) + [True]
    ChatResponse.model_validate(shown[-1])
    if one.finish == "length":
        assert (shown[-1]["done_reason"], shown[-1]["eval_count"]) == ("length", used)


@pytest.mark.parametrize(("latest", "known"), [(line("b"), 40), (line("b", done=True) | _COUNTS, 7)])
def test_a_cut_answer_says_of_the_prompt_what_is_known(latest: Object, known: int) -> None:
    one = reading()
    read(one, [lines(line("a"), latest)])
    (last,) = documents(one.cut(1))
    assert (last["prompt_eval_count"], last["eval_count"]) == (known, 1)


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_engine_that_gave_up_has_not_answered(reason: str) -> None:
    last = line("a", done=True, done_reason=reason)
    for answer in (lambda: read(reading(), [lines(last)]), lambda: reading().whole(last)):
        with pytest.raises(EngineBroke) as raised:
            answer()
        assert "gave" in raised.value.detail


def test_a_whole_answer() -> None:
    one = reading()
    found = one.whole(line("Hello", done=True, done_reason="stop") | _COUNTS)
    assert as_object(found["message"])["content"] == "Hello"
    assert (found["model"], found["done"], one.tokens) == ("mine", True, 1)
    assert one.settle()
    assert as_list(found.get("tool_calls")) == []


@pytest.mark.parametrize("document", [line("a"), {"error": "secret"}, {}])
def test_a_whole_answer_without_an_end_breaks(document: Object) -> None:
    with pytest.raises(EngineBroke):
        reading().whole(document)
