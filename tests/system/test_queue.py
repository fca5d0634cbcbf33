"""Turns: a caller's own, and the engine's. What waits is bounded, and who leaves gives back what was taken."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from policies.json import JSON
from tests.system.calls import ASKED, CHAT, assert_constant, chat, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, Hold, Send, Stream, always, whole
from tests.system.wire import compose


def refused(gateway: Gateway, key: Key, status: int) -> str:
    answer = gateway.post(CHAT, chat(), key.bearer)
    assert answer.status == status, answer
    assert_constant(answer)
    assert int(answer.head.get("retry-after") or 0) >= 1
    error = answer.json()["error"]
    assert isinstance(error, dict)
    return str(error["code"])


def queue(**limits: JSON) -> dict[str, JSON]:
    return {"limit": 0, "queued_per_caller": 0, **limits}


def test_a_caller_with_too_many_requests_is_refused_and_others_are_not(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue(in_flight_per_caller=1))
    noisy, quiet = gateway.create_key("noisy"), gateway.create_key("quiet")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, noisy) as wire:
        wire.head()
        assert refused(gateway, noisy, 429) == "concurrency_exceeded"
        with start_stream(gateway, quiet) as other:
            assert other.head().status == 200
    until(lambda: gateway.post(CHAT, chat(), noisy.bearer).status == 200, 5.0, "the slot of a caller that left is free")


def test_a_key_may_be_held_to_less(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue())
    narrow = gateway.create_key("narrow", "--concurrency", "1")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, narrow) as wire:
        wire.head()
        assert refused(gateway, narrow, 429) == "concurrency_exceeded"


def test_a_full_engine_says_so_and_is_free_once_its_caller_left(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue(), engine={"concurrency": 1})
    one, other = gateway.create_key("one"), gateway.create_key("other")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, one) as wire:
        wire.head()
        assert refused(gateway, other, 503) == "queue_full"
    until(lambda: gateway.post(CHAT, chat(), other.bearer).status == 200, 5.0, "the engine's slot is free again")


def test_who_waits_for_the_engine_is_told_when_it_took_too_long(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue(limit=1, wait="300ms"), engine={"concurrency": 1})
    one, other = gateway.create_key("one"), gateway.create_key("other")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, one) as wire:
        wire.head()
        assert refused(gateway, other, 503) == "queue_timeout"


def test_earlier_bands_go_first_whether_the_policy_or_the_key_says_so(launch: Launch, engine: RecordingEngine) -> None:
    grants: list[JSON] = [
        {"id": "batch", "groups": ["batch"], "models": [ASKED], "priority": "batch"},
        {"id": "rest", "groups": ["rest"], "models": [ASKED]},
    ]
    gateway = launch(
        policy={"engine": "embedded", "grants": grants},
        queue=queue(limit=4, wait="30s", tell_after="10ms"),
        engine={"concurrency": 1},
    )
    holder = gateway.create_key("holder", "--group", "rest")
    waiting = {
        "last": gateway.create_key("last", "--group", "batch", "--priority", "interactive"),
        "second": gateway.create_key("second", "--group", "rest"),
        "first": gateway.create_key("first", "--group", "rest", "--priority", "interactive"),
    }
    engine.play(always(*Stream().until(1, Hold())))
    with ExitStack() as open_until_the_end:
        with start_stream(gateway, holder) as wire:
            wire.head()
            for text, key in waiting.items():
                queued = open_until_the_end.enter_context(start_stream(gateway, key, text))
                assert "queued" in (next(queued.events(queued.head())).comment or "")
        engine.wait(lambda: len(engine.requests) == 4, "all had their turn", 20.0)
    asked = [str(seen.document["messages"]) for seen in engine.requests[1:]]
    assert [next(text for text in waiting if text in said) for said in asked] == ["first", "second", "last"]


@pytest.mark.alone
def test_a_waiting_stream_is_told_what_it_waits_for(launch: Launch, engine: RecordingEngine) -> None:
    quick: dict[str, JSON] = {"tell_after": "20ms", "tell_every": "20ms"}
    gateway = launch(queue=queue(limit=4, wait="30s", queued_per_caller=4, **quick), engine={"concurrency": 1})
    key, other = gateway.create_key("caller"), gateway.create_key("other")
    engine.play(always(Hold()), always(Hold()))
    with start_stream(gateway, key) as first, start_stream(gateway, other) as second:
        early, late = first.events(first.head()), second.events(second.head())
        assert next(early).comment == "prefill"
        assert next(late).comment == "queued 1"
        first.reset()
        assert "prefill" in (next(late).comment or "", next(late).comment or "", next(late).comment or "")


def test_who_does_not_want_to_be_told_gets_the_real_status(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue(limit=4, wait="300ms", tell_after=0), engine={"concurrency": 1})
    key, other = gateway.create_key("caller"), gateway.create_key("other")
    engine.play(always(*Stream().until(1, Hold())))
    with start_stream(gateway, key) as wire:
        wire.head()
        with start_stream(gateway, other) as waiting:
            assert waiting.head().status == 503


def test_a_slow_reader_keeps_its_own_slot_and_not_the_engines(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(queue=queue(), engine={"concurrency": 1})
    slow, other = gateway.create_key("slow"), gateway.create_key("other")
    long: list[JSON] = [{"object": "embedding", "index": 0, "embedding": [0.125] * 2_000_000}]
    engine.play(always(Send(whole({"object": "list", "data": long, "model": MODEL}))))
    with gateway.open() as wire:
        wire.send(compose("POST", "/v1/embeddings", slow.bearer, body={"model": ASKED, "input": "x"}))
        assert wire.head().status == 200  # and not a byte of the 14 MB behind it is read
        assert gateway.post(CHAT, chat(), other.bearer).status == 200


def test_an_alias_of_a_model_that_is_away_asks_for_patience(launch: Launch, engine: RecordingEngine) -> None:
    away: JSON = {"name": "away", "kind": "openai", "url": "http://127.0.0.1:9", "model": "gone"}
    here: JSON = {"name": "fake", "kind": "openai", "url": engine.url, "concurrency": 8}
    gateway = launch(engines={"discover": False, "list": [here, away]}, models={"aliases": {"gpt-4o": "gone"}})
    key = gateway.create_key("narrow", "--model", "gone")
    for name in ("gone", "gpt-4o", "GPT-4o:latest"):
        answer = gateway.post(CHAT, {**chat(), "model": name}, key.bearer)
        assert (answer.status, answer.head.get("x-should-retry")) == (503, None)
    assert gateway.post(CHAT, {**chat(), "model": "unknown"}, key.bearer).status == 403
