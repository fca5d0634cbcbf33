"""The one timer of a connection."""

from __future__ import annotations

import asyncio

from engines.deadline import Deadline
from tests.engines.waiting import until


async def test_it_expires_once_and_can_be_set_again() -> None:
    expired: list[float] = []
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, lambda: expired.append(loop.time()))
    start = loop.time()
    deadline.set(0.02)
    await until(lambda: bool(expired))
    assert expired[0] - start >= 0.019
    deadline.set(0.01)
    await until(lambda: len(expired) == 2)
    deadline.stop()


async def test_the_last_setting_counts_whether_earlier_or_later() -> None:
    expired: list[float] = []
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, lambda: expired.append(loop.time()))
    start = loop.time()
    deadline.set(0.01)
    deadline.set(0.06)
    await until(lambda: bool(expired))
    assert expired[0] - start >= 0.059
    deadline.set(60)
    deadline.set(0.01)
    await until(lambda: len(expired) == 2)
    assert loop.time() - start < 30


async def test_a_cleared_or_stopped_deadline_never_expires() -> None:
    expired: list[str] = []
    loop = asyncio.get_running_loop()
    cleared, stopped, last = (Deadline(loop, lambda name=name: expired.append(name)) for name in "abc")  # type: ignore[misc]
    cleared.set(0.01)
    cleared.clear()
    stopped.set(0.01)
    stopped.stop()
    last.set(0.03)
    await until(lambda: bool(expired))
    assert expired == ["c"]
