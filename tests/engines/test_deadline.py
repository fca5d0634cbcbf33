"""The one timer of a connection."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import Any

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


class Early(asyncio.SelectorEventLoop):
    """Its timers come a little early, as libuv's do, whose clock has milliseconds."""

    calls = 0

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        self.calls += 1
        return super().call_at(when - 0.0005, callback, *args, context=context)


def test_a_timer_that_is_a_little_early_is_not_set_again() -> None:
    with closing(Early()) as loop:
        deadline = Deadline(loop, loop.stop)
        deadline.set(0.01)
        loop.run_forever()
        assert loop.calls == 1
