"""Limits hold under concurrency, streamed and not, with callers that leave and engines that count nothing.

Each test runs with one gateway that counts in memory, and with four that share a real Redis and a database; requests
go to each in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import pytest

from policies.json import Object, as_list, as_object, as_str
from tests.system.calls import CHAT, chat, chunks, events, events_after, start_stream
from tests.system.fleet import WITHIN, Muster, member
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import PROMPT_TOKENS, TOKEN, said, talker
from tests.system.wire import Answer, compose

_BUDGET = 1_000
_CALLERS = 20
_ASKED = 900


class Posts:
    """Requests that are not streamed, to each gateway in turn."""

    def __init__(self, gateways: Sequence[Gateway], key: Key) -> None:
        self._next = cycle(gateways)
        self._key = key

    def __call__(self) -> Answer:
        return next(self._next).post(CHAT, chat(), self._key.bearer)

    def windows(self) -> list[Object]:
        """What `/v1/me` says of the caller's limits over time."""
        me = as_object(next(self._next).get("/v1/me", self._key.bearer).json()["limits"])
        return [as_object(window) for window in as_list(me["windows"])]


def usage(gateways: Sequence[Gateway]) -> Object:
    """What the ledger has of everything so far."""
    ended = gateways[0].run("usage", "--json")
    assert ended.code == 0, ended.err
    rows = as_list(json.loads(ended.out))
    return as_object(rows[0]) if rows else {}


def stream(gateway: Gateway, key: Key) -> int:
    """A whole stream; how many tokens came. It must end well-formed."""
    with start_stream(gateway, key, max_tokens=_ASKED) as wire:
        head = wire.head(WITHIN)
        if head.status == 429:
            return 0
        assert head.status == 200
        documents = chunks(events_after(wire, head, WITHIN))
    choice = as_object(as_list(documents[-1]["choices"])[0])
    assert choice["finish_reason"] == "length"
    return said(documents).count(TOKEN)


def whole(gateway: Gateway, key: Key) -> int:
    """The same, not streamed."""
    with gateway.open() as wire:
        answer = wire.ask(compose("POST", CHAT, key.bearer, body=chat(max_tokens=_ASKED)), WITHIN)
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
    with start_stream(gateway, key, max_tokens=_ASKED) as wire:
        head = wire.head(WITHIN)
        if head.status == 429:
            return 0
        found = wire.events(head, WITHIN)
        text = said([next(found).json() for _ in range(5)])
        wire.reset()
    return text.count(TOKEN)


KINDS: dict[str, Callable[[Gateway, Key], int]] = {"streamed": stream, "whole": whole, "leaving": leaving}


@pytest.mark.parametrize("reports", [True, False], ids=["usage", "no usage"])
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_callers_get_no_more_than_the_budget(
    fleet: Muster, engine: RecordingEngine, kind: str, *, reports: bool
) -> None:
    gateways = fleet(rules=[{"name": "budget", "per": "owner", "output": {"day": _BUDGET}}])
    key = member(gateways, "caller")
    engine.play(*[talker(usage=reports, gap=0.004)] * _CALLERS)
    with ThreadPoolExecutor(_CALLERS) as pool:
        got = list(pool.map(lambda number: KINDS[kind](gateways[number % len(gateways)], key), range(_CALLERS)))
    seen = engine.requests
    assert seen
    assert sum(got) <= _BUDGET
    if kind != "leaving":
        assert sum(got) == _BUDGET
    until(lambda: all(each.gone_at or each.finished_at for each in seen), WITHIN, "the engine is left alone")
    until(lambda: usage(gateways).get("requests") == len(seen), WITHIN, "all is settled")
    charged = usage(gateways)["output_tokens"]
    assert isinstance(charged, int)
    assert sum(got) <= charged <= _BUDGET + len(seen)
    # An engine that is cut off has written a little that nobody read: what it writes in 0.12 s, at a token each 4 ms.
    assert charged <= sum(map(generated, seen)) <= charged + 30 * len(seen)


def generated(seen: Seen) -> int:
    """Tokens that the engine wrote."""
    tokens = seen.pieces - 1
    return tokens - 1 if seen.finished_at else tokens


def test_the_ledger_has_what_the_engine_counted_to_the_token(fleet: Muster, engine: RecordingEngine) -> None:
    gateways = fleet()
    key = member(gateways, "caller")
    lengths = [1, 17, 300, 2, 64, 65, 3, 5]
    engine.play(*(talker(length) for length in lengths))
    for number, length in enumerate(lengths):
        gateway = gateways[number // 2 % len(gateways)]
        if number % 2:
            with start_stream(gateway, key) as wire:
                assert said(chunks(events(wire, WITHIN))).count(TOKEN) == length
        else:
            assert gateway.post(CHAT, chat(), key.bearer).status == 200
    until(lambda: usage(gateways).get("requests") == len(lengths), WITHIN, "all is settled")
    row = usage(gateways)
    assert (row["input_tokens"], row["output_tokens"]) == (PROMPT_TOKENS * len(lengths), sum(lengths))


def test_a_used_up_limit_says_which_and_when(fleet: Muster, engine: RecordingEngine) -> None:
    gateways = fleet(rules=[{"name": "budget", "per": "owner", "requests": {"minute": 2}}])
    post = Posts(gateways, member(gateways, "caller"))
    engine.play(*[talker(3)] * 2)
    first = post()
    assert first.head.get("x-ratelimit-limit-requests") == "2"
    assert first.head.get("x-ratelimit-remaining-requests") == "1"
    second = post()
    assert (second.status, second.head.get("x-ratelimit-remaining-requests")) == (200, "0")
    third = post()
    assert third.status == 429
    error = as_object(third.json()["error"])
    assert error["code"] == "rate_limit_exceeded"
    assert "2 requests per minute is the limit of budget" in as_str(error["message"])
    assert 55 <= int(third.head.get("retry-after") or "") <= 61
    assert third.head.get("x-ratelimit-remaining-requests") == "0"
    assert len(engine.requests) == 2
    (window,) = post.windows()
    assert (window["name"], window["remaining"]) == ("budget", 0)


def test_a_restart_gives_nobody_a_new_day(fleet: Muster, engine: RecordingEngine) -> None:
    gateways = fleet(rules=[{"name": "budget", "per": "owner", "tokens": {"day": 50}}])
    post = Posts(gateways, member(gateways, "caller"))
    engine.play(talker(40))
    assert post().status == 200
    until(lambda: usage(gateways).get("output_tokens") == 40, WITHIN, "it is settled")
    for gateway in gateways:
        gateway.stop()
    for gateway in gateways:
        gateway.start().ready()
    assert post().status in {200, 429}
    (window,) = post.windows()
    assert isinstance(window["used"], int)
    assert window["used"] >= 40 + PROMPT_TOKENS


def test_suspended_is_refused_for_good(fleet: Muster, engine: RecordingEngine) -> None:
    gateways = fleet(rules=[{"name": "budget", "per": "owner", "requests": {"day": 0}}])
    post = Posts(gateways, member(gateways, "caller"))
    for _ in gateways:
        answer = post()
        said_of_it = (answer.status, answer.head.get("x-should-retry"), answer.head.get("retry-after"))
        assert said_of_it == (429, "false", None)
        assert "suspended" in as_str(as_object(answer.json()["error"])["message"])
    assert engine.requests == []


def test_shadow_limits_refuse_nothing(fleet: Muster, engine: RecordingEngine) -> None:
    gateways = fleet(rules=[{"name": "budget", "per": "owner", "requests": {"day": 1}, "shadow": True}])
    post = Posts(gateways, member(gateways, "caller"))
    assert [post().status for _ in range(3)] == [200] * 3
    assert len(engine.requests) == 3
    (window,) = post.windows()
    assert (window["used"], window["shadow"]) == (3, True)
