"""Limits hold under concurrency, streamed and not, with callers that leave and engines that count nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import CHAT, chat, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import PROMPT_TOKENS, TOKEN, said, talker
from tests.system.wire import compose

_BUDGET = 1_000
_CALLERS = 20
_ASKED = 900
WITHIN = 30.0


def limited(launch: Launch, **limits: JSON) -> Gateway:
    return launch(
        limits={"rules": [{"name": "budget", "per": "owner", **limits}]},
        queue={"in_flight_per_caller": 64, "queued_per_caller": 64},
        engine={"concurrency": 64},
    )


def usage(gateway: Gateway) -> Object:
    """What the ledger has of everything so far."""
    ended = gateway.run("usage", "--json")
    assert ended.code == 0, ended.err
    rows = as_list(json.loads(ended.out))
    return as_object(rows[0]) if rows else {}


def stream(gateway: Gateway, key: Key) -> int:
    """A whole stream; how many tokens came. It must end well-formed."""
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=streamed(max_tokens=_ASKED)))
        head = wire.head(WITHIN)
        if head.status == 429:
            return 0
        assert head.status == 200
        found = [event for event in wire.events(head, WITHIN) if event.data is not None]
        assert found[-1].data == "[DONE]"
        documents = [event.json() for event in found[:-1]]
        choice = as_object(as_list(documents[-1]["choices"])[0])
        assert choice["finish_reason"] == "length"
        return said(documents).count(TOKEN)


def whole(gateway: Gateway, key: Key) -> int:
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=chat(max_tokens=_ASKED)))
        answer = wire.answer(WITHIN)
    if answer.status == 429:
        return 0
    assert answer.status == 200
    choice = as_object(as_list(answer.json()["choices"])[0])
    assert choice["finish_reason"] == "length"
    text = as_str(as_object(choice["message"])["content"])
    assert as_object(answer.json()["usage"])["completion_tokens"] == text.count(TOKEN)
    return text.count(TOKEN)


def leaving(gateway: Gateway, key: Key) -> int:
    """Reads a few tokens and is gone."""
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, body=streamed(max_tokens=_ASKED)))
        head = wire.head(WITHIN)
        if head.status == 429:
            return 0
        events = wire.events(head, WITHIN)
        text = said([next(events).json() for _ in range(5)])
        wire.reset()
    return text.count(TOKEN)


KINDS: dict[str, Callable[[Gateway, Key], int]] = {"streamed": stream, "whole": whole, "leaving": leaving}


@pytest.mark.parametrize("reports", [True, False], ids=["usage", "no usage"])
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_callers_get_no_more_than_the_budget(
    launch: Launch, engine: RecordingEngine, kind: str, *, reports: bool
) -> None:
    gateway = limited(launch, output={"day": _BUDGET})
    key = gateway.create_key("caller")
    engine.play(*[talker(usage=reports, gap=0.001)] * _CALLERS)
    with ThreadPoolExecutor(_CALLERS) as pool:
        got = list(pool.map(lambda _: KINDS[kind](gateway, key), range(_CALLERS)))
    seen = engine.requests
    assert seen
    assert sum(got) <= _BUDGET
    if kind != "leaving":
        assert sum(got) == _BUDGET
    until(lambda: all(each.gone_at or each.finished_at for each in seen), WITHIN, "the engine is left alone")
    until(lambda: usage(gateway).get("requests") == len(seen), WITHIN, "all is settled")
    charged = usage(gateway)["output_tokens"]
    assert isinstance(charged, int)
    assert sum(got) <= charged <= _BUDGET + len(seen)
    # An engine that is cut off has written a little that nobody read: what it writes in 30 ms, at a token each.
    assert charged <= sum(map(generated, seen)) <= charged + 30 * len(seen)


def generated(seen: Seen) -> int:
    """Tokens that the engine wrote."""
    tokens = seen.pieces - 1
    return tokens - 1 if seen.finished_at else tokens


def test_the_ledger_has_what_the_engine_counted_to_the_token(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    key = gateway.create_key("caller")
    lengths = [1, 17, 300, 2, 64, 65]
    engine.play(*(talker(length) for length in lengths))
    for number, _ in enumerate(lengths):
        with gateway.open() as wire:
            wire.send(compose("POST", CHAT, key.bearer, body=streamed() if number % 2 else chat()))
            if number % 2:
                assert len(list(wire.events(wire.head(WITHIN), WITHIN))) > 1
            else:
                assert wire.answer(WITHIN).status == 200
    until(lambda: usage(gateway).get("requests") == len(lengths), WITHIN, "all is settled")
    row = usage(gateway)
    assert (row["input_tokens"], row["output_tokens"]) == (PROMPT_TOKENS * len(lengths), sum(lengths))


def test_a_used_up_limit_says_which_and_when(launch: Launch, engine: RecordingEngine) -> None:
    gateway = limited(launch, requests={"minute": 2})
    key = gateway.create_key("caller")
    engine.play(*[talker(3)] * 2)
    first = gateway.post(CHAT, chat(), key.bearer)
    assert first.head.get("x-ratelimit-limit-requests") == "2"
    assert first.head.get("x-ratelimit-remaining-requests") == "1"
    second = gateway.post(CHAT, chat(), key.bearer)
    assert (second.status, second.head.get("x-ratelimit-remaining-requests")) == (200, "0")
    third = gateway.post(CHAT, chat(), key.bearer)
    assert third.status == 429
    error = as_object(third.json()["error"])
    assert error["code"] == "rate_limit_exceeded"
    assert "2 requests per minute is the limit of budget" in as_str(error["message"])
    assert 55 <= int(third.head.get("retry-after") or "") <= 61
    assert third.head.get("x-ratelimit-remaining-requests") == "0"
    assert len(engine.requests) == 2
    me = as_object(gateway.get("/v1/me", key.bearer).json()["limits"])
    (window,) = as_list(me["windows"])
    assert as_object(window)["remaining"] == 0
    assert as_object(window)["name"] == "budget"


def test_a_restart_gives_nobody_a_new_day(launch: Launch, engine: RecordingEngine) -> None:
    gateway = limited(launch, tokens={"day": 50})
    key = gateway.create_key("caller")
    engine.play(talker(40))
    assert gateway.post(CHAT, chat(), key.bearer).status == 200
    until(lambda: usage(gateway).get("output_tokens") == 40, WITHIN, "it is settled")
    gateway.stop()
    gateway.start().ready()
    answer = gateway.post(CHAT, chat(), key.bearer)
    assert answer.status in {200, 429}
    me = as_object(gateway.get("/v1/me", key.bearer).json()["limits"])
    used = as_object(as_list(me["windows"])[0])["used"]
    assert isinstance(used, int)
    assert used >= 40 + PROMPT_TOKENS


def test_suspended_is_refused_for_good(launch: Launch, engine: RecordingEngine) -> None:
    gateway = limited(launch, requests={"day": 0})
    key = gateway.create_key("caller")
    answer = gateway.post(CHAT, chat(), key.bearer)
    assert (answer.status, answer.head.get("x-should-retry"), answer.head.get("retry-after")) == (429, "false", None)
    assert "suspended" in as_str(as_object(answer.json()["error"])["message"])
    assert engine.requests == []


def test_shadow_limits_refuse_nothing(launch: Launch, engine: RecordingEngine) -> None:
    gateway = limited(launch, requests={"day": 1}, shadow=True)
    key = gateway.create_key("caller")
    assert [gateway.post(CHAT, chat(), key.bearer).status for _ in range(3)] == [200] * 3
    assert len(engine.requests) == 3
