"""A gateway that is killed in the middle of its work: what callers got is accounted for, and nothing stays open.

`LLM_GATEWAY_KILLS=200 make test TESTS=tests/system/test_crash.py` kills it that often; the suite does so a few times.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from policies.json import Object
from tests.system.calls import CHAT, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import TOKEN, talker
from tests.system.wire import TruncatedError, compose

_KILLS: Final = int(os.environ.get("LLM_GATEWAY_KILLS", "5"))
_STREAMS: Final = 4
_AT_RISK: Final = 1.0
"""Seconds of one stream that the ledger may not have."""
_HOLD, _SETTLE = 1, 3


@dataclass(slots=True)
class Got:
    """When each token of one request arrived."""

    at: list[float] = field(default_factory=list)


class Load:
    """Callers that stream without end until the gateway is gone."""

    def __init__(self, gateway: Gateway, key: Key) -> None:
        self.got: dict[str, Got] = {}
        self._gateway = gateway
        self._key = key
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(_STREAMS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with suppress(OSError, TruncatedError):
            while True:
                with self._gateway.open() as wire:
                    wire.send(compose("POST", CHAT, self._key.bearer, body=streamed(max_tokens=400)))
                    head = wire.head(5.0)
                    got = self.got[head.get("x-request-id") or ""] = Got()
                    for event in wire.events(head, 5.0):
                        if event.data and TOKEN in event.data:
                            got.at.append(time.monotonic())

    def join(self) -> None:
        for thread in self._threads:
            thread.join(20.0)
            assert not thread.is_alive()


def rows(gateway: Gateway) -> list[tuple[int, str, int]]:
    """(kind, request, output tokens) of every row of the ledger."""
    with closing(sqlite3.connect(gateway.folder / "home" / "gateway.db")) as database:
        return database.execute("SELECT kind, request_id, output FROM ledger ORDER BY seq").fetchall()


def open_holds(gateway: Gateway) -> set[str]:
    found = rows(gateway)
    return {request for kind, request, _ in found if kind == _HOLD} - {
        request for kind, request, _ in found if kind == _SETTLE
    }


def test_what_callers_got_is_accounted_for_whenever_the_gateway_is_killed(
    launch: Launch, engine: RecordingEngine
) -> None:
    limits: Object = {"rules": [{"name": "much", "tokens": {"day": 100_000_000}}]}
    gateway = launch(limits=limits, engine={"concurrency": 8})
    key = gateway.create_key("caller")
    engine.when("hi", talker(400, usage=False, gap=0.002))
    starts: list[float] = []
    chance = random.Random(4)
    for _ in range(_KILLS):
        load = Load(gateway, key)
        until(lambda load=load: len(load.got) >= _STREAMS, 20.0, "all callers stream")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 1.5))  # the random moment is the test
        killed = time.monotonic()
        gateway.kill()
        load.join()
        gateway.start().ready()
        starts.append(gateway.started_in)
        settled = {request: output for kind, request, output in rows(gateway) if kind == _SETTLE}
        for request, got in load.got.items():
            safe = sum(at <= killed - _AT_RISK for at in got.at)
            assert settled[request] >= safe, (request, settled[request], safe, len(got.at))
        assert open_holds(gateway) == set()
    assert median(starts) <= 2.0
    # A figure for people (`-s`); how long a start takes is no behaviour, and the machine may be busy.
    sys.stdout.write(
        f"\n{_KILLS} kills; start to listening: median {median(starts):.2f} s, worst {max(starts):.2f} s\n"
    )
