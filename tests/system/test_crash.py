"""A gateway that is killed in the middle of its work: what callers got is accounted for, and nothing stays open.

With one gateway, and with four of which one is killed while the others go on. `LLM_GATEWAY_KILLS=200 make test
TESTS=tests/system/test_crash.py` kills that often in each case; the suite does so a few times.
"""

from __future__ import annotations

import os
import queue
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import pytest

from policies.json import Object, as_list, as_object, as_str
from tests.system.calls import CHAT, chat, streamed
from tests.system.fleet import WITHIN, Book, Muster, member
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import TOKEN, talker
from tests.system.wire import TruncatedError, Wire, compose

_KILLS: Final = int(os.environ.get("LLM_GATEWAY_KILLS", "0"))
"""0 = five of the one, three of the four."""
_CALLERS: Final = 8
_AT_RISK: Final = 1.0
"""Seconds of one stream that the ledger may not have."""
_LONGEST: Final = 900
"""Tokens: two to three seconds, so that answers end on both sides of what is at risk."""


@dataclass(slots=True)
class Got:
    """What one request brought: when each token arrived. `text` is what it asked, by which the engine knows it."""

    gateway: Gateway
    text: str
    asked: float
    whole: bool
    request: str = ""
    at: list[float] = field(default_factory=list)


class Load:
    """Callers that ask one gateway after the other, for streams and for whole answers of random lengths, until `stop`;
    of a gateway that is gone they ask the next one."""

    def __init__(self, gateways: Sequence[Gateway], key: Key, seed: int) -> None:
        self.got: list[Got] = []
        self.refused: list[str] = []
        self._gateways = gateways
        self._key = key
        self._name = f"load {seed}"
        self._over = threading.Event()
        self._armed = threading.Semaphore(0)
        self._killed: queue.Queue[tuple[Gateway, float]] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._call, args=(random.Random(f"{seed} {number}"), number), daemon=True)
            for number in range(_CALLERS)
        ]
        for thread in self._threads:
            thread.start()

    def kill_at_whole(self) -> tuple[Gateway, float]:
        """Kill the gateway that the next whole answer comes from as it arrives, settled or not; which, and when."""
        self._armed.release()
        return self._killed.get(timeout=WITHIN)

    def stop(self) -> None:
        """Ask nothing more, and wait for what is under way."""
        self._over.set()
        for thread in self._threads:
            thread.join(WITHIN)
            assert not thread.is_alive()

    def _call(self, chance: random.Random, number: int) -> None:
        turn = number
        while not self._over.is_set():
            gateway = self._gateways[turn % len(self._gateways)]
            text = f"hi from {self._name}, {number}, {turn}."
            got = Got(gateway, text, time.monotonic(), whole=chance.random() < 0.5)
            turn += 1
            try:
                with gateway.open() as wire:
                    self._ask(wire, got, chance.randint(1, _LONGEST))
            except (OSError, TruncatedError):
                self._over.wait(0.05)  # it is down

    def _ask(self, wire: Wire, got: Got, tokens: int) -> None:
        make = chat if got.whole else streamed
        wire.send(compose("POST", CHAT, self._key.bearer, body=make(got.text, max_tokens=tokens)))
        head = wire.head(WITHIN)
        got.request = head.get("x-request-id") or ""
        if head.status != 200:
            self.refused.append(b"".join(wire.blocks(head, WITHIN)).decode())
            return
        self.got.append(got)
        if got.whole:
            body = b"".join(wire.blocks(head, WITHIN))
            now = time.monotonic()
            if self._armed.acquire(blocking=False):
                got.gateway.process.kill()
                self._killed.put((got.gateway, now))
            got.at += [now] * body.decode().count(TOKEN)
            return
        for event in wire.events(head, WITHIN):
            if event.data and TOKEN in event.data:
                got.at.append(time.monotonic())


def asked_of(seen: Seen) -> str:
    """The text of the request that the engine saw."""
    return as_str(as_object(as_list(seen.document["messages"])[0])["content"])


def long_in_the_making(engine: RecordingEngine) -> set[str]:
    """The texts of the requests whose answers took the engine more than what is at risk."""
    return {asked_of(seen) for seen in engine.requests if seen.finished_at and seen.finished_at - seen.at > _AT_RISK}


@dataclass(frozen=True, slots=True)
class Death:
    """Which gateway was killed; it lived until some moment from `begun` to `over`."""

    victim: Gateway
    begun: float
    over: float

    def concerns(self, got: Got) -> bool:
        """Whether the killed process may have served it."""
        return got.gateway is self.victim and got.asked <= self.over

    def safe(self, got: Got, *, long: bool) -> int:
        """How many of the tokens that arrived the ledger must have."""
        if not self.concerns(got) or (got.whole and long):
            return len(got.at)
        return sum(at <= self.begun - _AT_RISK for at in got.at)


def kill(load: Load, gateways: Sequence[Gateway], chance: random.Random) -> Death:
    """Kill one of them at a random moment; or, as often, at the worst one: as a whole answer has just arrived."""
    victim = chance.choice(gateways)
    time.sleep(chance.uniform(0.0, 2.5))  # the random moment is the test
    begun = time.monotonic()
    if chance.random() < 0.5:
        victim, begun = load.kill_at_whole()
    victim.kill()
    return Death(victim, begun, time.monotonic())


@pytest.mark.alone
@pytest.mark.timeout(120 + 20 * _KILLS)
def test_what_callers_got_is_accounted_for_whenever_a_gateway_is_killed(fleet: Muster, engine: RecordingEngine) -> None:
    limits: Object = {"rules": [{"name": "much", "tokens": {"day": 100_000_000}}]}
    gateways = fleet(**limits)
    key, book = member(gateways, "caller"), Book(gateways)
    starts: list[float] = []
    checked = {"streams": 0, "whole": 0, "long whole": 0}
    chance = random.Random(4)
    for number in range(_KILLS or (5 if len(gateways) == 1 else 3)):
        engine.forget()
        engine.when("hi", talker(_LONGEST, usage=False, gap=0.002))
        load = Load(gateways, key, number)
        until(lambda load=load: len(load.got) >= _CALLERS, WITHIN, "callers get answers")  # type: ignore[misc]
        death = kill(load, gateways, chance)
        starts.append(death.victim.start().ready().started_in)
        open_now, alive = book.open_holds(), book.instances()
        assert set(open_now.values()) <= alive, "a hold of the killed one is open"
        assert len(alive) == len(gateways), "the killed one is gone from the book"
        load.stop()
        until(lambda: not book.open_holds(), WITHIN, "nothing is open")
        settled, long = book.settled(), long_in_the_making(engine)
        for got in load.got:
            is_long = got.text in long
            wanted = death.safe(got, long=is_long)
            assert settled[got.request] >= wanted, (got.request, got.whole, settled[got.request], wanted, len(got.at))
            if death.concerns(got):
                checked["streams" if not got.whole else "long whole" if is_long else "whole"] += bool(got.at)
        assert load.refused == []
    assert checked["streams"]
    assert median(starts) <= 2.0
    # Figures for people (`-s`).
    sys.stdout.write(
        f"\n{len(gateways)} gateways, {len(starts)} kills; answers of the killed ones: {checked}; "
        f"start to listening: median {median(starts):.2f} s, worst {max(starts):.2f} s\n"
    )
