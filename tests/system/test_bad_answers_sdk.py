"""Bad answers in every dialect: the official package raises its own typed error, at once, and the engine is left."""

from __future__ import annotations

import anthropic
import openai
import pytest

from policies.json import Object
from tests.system.misbehaviour import ARGUMENTS, BROKEN_ANSWERS, GIVEN_UP, IN_TURNS, NONSENSE, ODD, SECRET_DETAIL
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import Script, Send, Stream, always, completion, delta, whole
from tests.system.sdks import SDKS, Heard

_DIALECTS = pytest.mark.parametrize("dialect", SDKS)
_LOST = (openai.APIConnectionError, anthropic.APIConnectionError)
"""What the packages make of a connection that breaks, or is silent for too long: a kind of their typed errors too."""
_MARK = "marked"
_KEEPS_TEXT = {"openai", "responses"}
"""Dialects that have the arguments of a call as the text that the model wrote."""


def _raised(gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str) -> Exception:
    sdk = SDKS[dialect]
    with pytest.raises(sdk.broken) as raised:
        sdk.ask(gateway, key, "hi", engine.release)
    error = raised.value
    assert not isinstance(error, _LOST)
    assert SECRET_DETAIL not in str(error)
    assert "engine" in str(error)  # the sentence is ours
    return error


def _all_said(script: Script, seen: Seen) -> bool:
    """Whether the answer ended as HTTP wants it: its connection may be used again."""
    last = script(seen)[-1]
    return isinstance(last, Send) and last.data.endswith(b"0\r\n\r\n")


@_DIALECTS
@pytest.mark.parametrize("name", [*GIVEN_UP, *NONSENSE])
def test_a_stream_that_goes_wrong_raises_the_packages_own_error(
    gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str, name: str
) -> None:
    script = {**GIVEN_UP, **NONSENSE}[name]
    engine.play(script)
    _raised(gateway, engine, key, dialect)
    seen = engine.request()
    if not _all_said(script, seen):
        engine.closed(seen, within=5.0)
    engine.forget()
    assert SDKS[dialect].ask(gateway, key, "again", lambda: None) == Heard("Hello there")


@_DIALECTS
@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_that_is_whole_is_heard_whole(
    gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str, name: str
) -> None:
    engine.play(ODD[name].script())
    assert SDKS[dialect].ask(gateway, key, "hi", lambda: None) == Heard("Hello there")


@_DIALECTS
@pytest.mark.parametrize("split", [1, 3, -1])
def test_characters_are_whole_wherever_their_bytes_are_cut(
    gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str, split: int
) -> None:
    said = ["grüß", " 日本 ", "😀👩‍👩‍👧", "\u2028"]
    engine.play(Stream(chunks=[*(delta(content=each) for each in said), delta(finish="stop")], split=split).script())
    assert SDKS[dialect].ask(gateway, key, "hi", lambda: None) == Heard("".join(said))


@_DIALECTS
@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_are_none(gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str, name: str) -> None:
    """Where they are text they are the model's word, which agents show it again; where they must be an object there is
    no answer."""
    stream = ARGUMENTS[name]
    engine.play(stream.script())
    if dialect in _KEEPS_TEXT:
        heard = SDKS[dialect].ask(gateway, key, "hi", lambda: None)
        assert heard.calls[0][0] == "f"
        assert heard.calls[0][1] in {"{nonsense", "[1]", '{"a":'}
    else:
        _raised(gateway, engine, key, dialect)
    function: Object = {"name": "f", "arguments": "{nonsense"}
    message: Object = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    document = completion(choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])
    engine.when(_MARK, always(Send(whole(document))))
    if dialect in _KEEPS_TEXT:
        assert SDKS[dialect].whole(gateway, key, _MARK).calls == [["f", "{nonsense"]]
        return
    with pytest.raises(SDKS[dialect].status) as raised:
        SDKS[dialect].whole(gateway, key, _MARK)
    assert getattr(raised.value, "status_code", None) == 502


@pytest.mark.parametrize("dialect", ["anthropic", "responses"])  # the others: test_engine_gone.py, test_ollama_sdk.py
@pytest.mark.parametrize("name", BROKEN_ANSWERS)
def test_a_whole_answer_that_is_none_raises_the_packages_own_error(
    gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str, name: str
) -> None:
    engine.when(_MARK, BROKEN_ANSWERS[name])  # and not queued: on a used connection the gateway asks once more
    with pytest.raises(SDKS[dialect].status) as raised:
        SDKS[dialect].whole(gateway, key, _MARK)
    assert getattr(raised.value, "status_code", None) == 502
    assert SECRET_DETAIL not in str(raised.value)


@_DIALECTS
def test_pieces_of_two_calls_in_turns(gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str) -> None:
    """Where each call is a block or an item of its own they cannot be said; elsewhere they are put together."""
    engine.play(IN_TURNS.script())
    if dialect in {"anthropic", "responses"}:
        _raised(gateway, engine, key, dialect)
    else:
        assert [call[0] for call in SDKS[dialect].ask(gateway, key, "hi", lambda: None).calls] == ["f", "g"]
