"""Large bodies are parsed beside the loop, one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from edge.intake import offload
from edge.intake.offload import INLINE, Parser
from edge.intake.routes import Routes
from edge.intake.strict_json import Limits, parse
from policies.json import Object
from policies.reasons import Reason
from tests.edge.intake.refusals import refused

LARGE = b'{"a":"' + b"x" * INLINE + b'"}'
PATIENCE = 20.0


@pytest.fixture
def parser() -> Iterator[Parser]:
    parser = Parser()
    yield parser
    parser.close()


class Gate:
    """Stands in for `parse`: tells who runs it, and holds them until it is opened."""

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.now = 0
        self.most = 0
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, body: bytes, limits: Limits) -> Object:
        with self._lock:
            self.threads.append(threading.current_thread().name)
            self.now += 1
            self.most = max(self.most, self.now)
        self.entered.release()
        assert self.open.wait(PATIENCE)
        with self._lock:
            self.now -= 1
        return parse(body, limits)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(offload, "parse", gate)
    yield gate
    gate.open.set()


async def test_both_ways_give_the_same(parser: Parser) -> None:
    assert await parser.parse(b'{"a":1}') == {"a": 1}
    assert await parser.parse(LARGE) == parse(LARGE)


async def test_both_ways_refuse_the_same(parser: Parser) -> None:
    for body in (b'{"a":1,"a":1}', LARGE[:-1]):
        with refused(Reason.INVALID_JSON):
            await parser.parse(body)


async def test_limits_are_kept(parser: Parser) -> None:
    narrow = Parser(Limits(depth=1))
    with refused(Reason.DOCUMENT_TOO_COMPLEX):
        await narrow.parse(b'{"a":[]}')
    narrow.close()


async def test_small_bodies_stay_on_the_loop_and_large_ones_leave_it(parser: Parser, gate: Gate) -> None:
    gate.open.set()
    await parser.parse(b" " * (INLINE - 2) + b"{}")
    await parser.parse(b" " * (INLINE - 1) + b"{}")
    assert gate.threads == [threading.current_thread().name, "parse_0"]


async def test_the_loop_runs_on_and_one_body_is_parsed_at_a_time(parser: Parser, gate: Gate) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        tasks = [group.create_task(parser.parse(LARGE)) for _ in range(5)]
        await asyncio.to_thread(gate.entered.acquire, timeout=PATIENCE)
        # One is held in the lane, and here the loop goes on serving others.
        assert gate.now == 1
        assert not any(task.done() for task in tasks)
        gate.open.set()
    assert gate.most == 1
    assert [task.result() for task in tasks] == [parse(LARGE)] * 5


async def test_a_caller_that_leaves_the_queue_costs_no_parsing(parser: Parser, gate: Gate) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        first = group.create_task(parser.parse(LARGE))
        await asyncio.to_thread(gate.entered.acquire, timeout=PATIENCE)
        second = group.create_task(parser.parse(LARGE))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        gate.open.set()
    assert first.result() == parse(LARGE)
    assert second.cancelled()
    assert len(gate.threads) == 1


async def test_a_call_is_read_in_one_go(parser: Parser) -> None:
    route = Routes().match("POST", "/v1/chat/completions")
    assert route is not None
    body = b'{"model":"m","messages":[{"role":"user","content":"%s"}]}'
    for text in (b"hi", b"x" * INLINE):
        call = await parser.read_call(route, body % text)
        assert call.body == {"messages": [{"role": "user", "content": text.decode()}]}
    with refused(Reason.UNKNOWN_PARAMETER):
        await parser.read_call(route, body[:-1] % b"hi" + b',"foo":1}', strict=True)


async def test_closing_drops_what_waits_and_lets_the_rest_finish(parser: Parser, gate: Gate) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        first = group.create_task(parser.parse(LARGE))
        await asyncio.to_thread(gate.entered.acquire, timeout=PATIENCE)
        second = group.create_task(parser.parse(LARGE))
        await asyncio.sleep(0)
        parser.close()
        await asyncio.wait([second])
        gate.open.set()
    assert first.result() == parse(LARGE)
    assert second.cancelled()
    assert len(gate.threads) == 1
