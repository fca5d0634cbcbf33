"""The process tells of itself what its operating system says, and notices when nothing else could run."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable

import psutil
import pytest

from observability.metrics import catalogue as names
from observability.metrics.process import GcPauses, LoopLag, watch_process
from observability.metrics.registry import Registry
from observability.metrics.snapshot import Family, Point


def points(registry: Registry, family: Family) -> dict[tuple[str, ...], Point]:
    found = next(each.points for each in registry.snapshots() if each.family is family)
    return {point.labels: point for point in found}


def test_memory_and_descriptors_are_those_of_the_system() -> None:
    registry = Registry(time.time)
    watch_process(registry, version="1.2", wall=lambda: registry.started + 5.0)
    (memory,) = points(registry, names.MEMORY).values()
    assert memory.value == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    (before,) = points(registry, names.DESCRIPTORS).values()
    ends = [end for _ in range(100) for end in os.pipe()]
    (after,) = points(registry, names.DESCRIPTORS).values()
    for end in ends:
        os.close(end)
    assert after.value == pytest.approx(before.value + 200, abs=50)  # other tests' threads have sockets, too
    assert {labels[0] for labels in points(registry, names.CPU_TIME)} == {"user", "system"}
    assert points(registry, names.UPTIME)[()].value == 5.0
    assert next(iter(points(registry, names.BUILD)))[0] == "1.2"


async def test_a_loop_that_hung_is_late() -> None:
    registry = Registry(time.time)
    now = [0.0]
    late = iter([0.0, 0.03, 2.0])

    async def pause(seconds: float) -> None:
        try:
            now[0] += seconds + next(late)
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await LoopLag(registry).run(lambda: now[0], pause)
    (lag,) = points(registry, names.LOOP_LAG).values()
    assert lag.count == 3
    assert lag.value == pytest.approx(2.03)


async def test_the_real_loop_is_asked() -> None:
    registry = Registry(time.time)
    asked = asyncio.Event()
    real: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def pause(_: float) -> None:
        await real(0)
        asked.set()

    async with asyncio.timeout(10):
        lag = asyncio.ensure_future(LoopLag(registry).run(pause=pause))
        await asked.wait()
        lag.cancel()
        await asyncio.gather(lag, return_exceptions=True)
    assert points(registry, names.LOOP_LAG)[()].count >= 1


def test_collections_are_timed_until_it_stops() -> None:
    registry = Registry(time.time)
    pauses = GcPauses(registry)
    assert {labels[0] for labels in points(registry, names.GC_PAUSES)} == {"0", "1", "2"}
    pauses.start()
    try:
        gc.collect()
        seen = points(registry, names.GC_PAUSES)[("2",)].count
        assert seen >= 1
    finally:
        pauses.stop()
        pauses.stop()
    seen = points(registry, names.GC_PAUSES)[("2",)].count
    gc.collect()
    assert points(registry, names.GC_PAUSES)[("2",)].count == seen
