"""Watchers get what they want, as it ends; a slow one loses lines, is told so, and costs nobody anything."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from observability.live.filters import Filter
from observability.live.watching import Watcher, Watchers
from observability.observers import Observers
from policies.errors import Refusal
from policies.json import Object
from policies.reasons import Reason
from tests.observability.live.exchanges import arrived, ended


async def lines(watcher: Watcher) -> list[Object]:
    return [orjson.loads(line) for line in (await watcher.take(5.0)).splitlines()]


def watchers(observers: Observers, capacity: int = 1_000, most: int = 16) -> Watchers:
    return Watchers(observers.add, besides="admin", capacity=capacity, most=most)


async def test_each_gets_what_it_wants() -> None:
    observers = Observers()
    with watchers(observers).watch(Filter()) as all_of_it, watchers(observers).watch(Filter(caller="bob")) as of_bob:
        for caller in ("ann", "bob"):
            observers.ended(ended(caller), 1.0)
        observers.ended(arrived("boss", listener="admin"), 1.0)
        assert [line["caller"] for line in await lines(all_of_it)] == ["ann", "bob"]
        assert [line["caller"] for line in await lines(of_bob)] == ["bob"]


async def test_while_nobody_watches_nobody_is_told() -> None:
    observers = Observers()
    seen = watchers(observers)
    with seen.watch(Filter()), seen.watch(Filter()):
        assert len(observers._observers) == 1
        assert len(seen) == 2
    assert len(observers._observers) == 0
    assert len(seen) == 0


async def test_a_slow_one_keeps_the_first_lines_and_hears_how_many_it_missed() -> None:
    observers = Observers()
    with watchers(observers, capacity=3).watch(Filter()) as slow:
        for number in range(10):
            observers.ended(ended(f"c{number}"), 1.0)
        found = await lines(slow)
        assert [line.get("caller") for line in found] == ["c0", "c1", "c2", None]
        assert found[-1] == {"event": "dropped", "lines": 7}
        observers.ended(ended("later"), 1.0)
        assert [line["caller"] for line in await lines(slow)] == ["later"]


async def test_silence_is_an_empty_answer_after_the_patience() -> None:
    with watchers(Observers()).watch(Filter()) as watcher:
        assert await watcher.take(0.01) == b""


async def test_there_is_a_bound_on_how_many_watch() -> None:
    seen = watchers(Observers(), most=1)
    with seen.watch(Filter()), pytest.raises(Refusal) as caught, seen.watch(Filter()):
        pass
    assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
    with seen.watch(Filter()):
        assert len(seen) == 1


async def test_at_the_end_those_who_watch_are_told_and_waited_for() -> None:
    observers = Observers()
    seen = watchers(observers)

    async def watch() -> list[bytes]:
        got: list[bytes] = []
        with seen.watch(Filter()) as watcher:
            while True:
                block = await watcher.take(5.0)
                if not block and watcher.over:
                    return got
                got.append(block)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        while not len(seen):
            await asyncio.sleep(0)
        observers.ended(ended("last"), 1.0)
        await seen.close()
        assert len(seen) == 0
    assert b"last" in b"".join(watching.result())
