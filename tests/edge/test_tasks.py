"""Background tasks: nothing fails unheard, a watch never ends by failing, and `close` leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from edge.tasks import Tasks

LIMIT = 10.0


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.close()


async def ended(task: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait({task}, timeout=LIMIT)
    assert done == {task}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


class Watch:
    """Fails as the items of `failures` say, one a run, then watches until cancelled."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.runs = 0
        self.steady = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        self.steady.set()
        await asyncio.Event().wait()


async def test_a_failure_is_logged_with_the_name_of_the_task(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    await ended(tasks.start(Watch(ValueError("broken"))(), name="demo"))
    assert errors(caplog) == ["background task demo failed"]
    assert "ValueError: broken" in caplog.text


async def test_close_cancels_what_runs_and_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    tasks, watch = Tasks(), Watch()
    running = [tasks.start(watch(), name="one"), tasks.keep(watch, name="two")]
    await watch.steady.wait()
    await tasks.close()
    assert all(task.cancelled() for task in running)
    assert errors(caplog) == []
    await tasks.close()


async def test_a_watch_that_fails_is_logged_and_started_again(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(ValueError("first"), ExceptionGroup("second", [OSError()]))
    running = tasks.keep(watch, name="key watch", pause=0.001)
    async with asyncio.timeout(LIMIT):
        await watch.steady.wait()
    assert (watch.runs, running.done()) == (3, False)
    assert errors(caplog) == ["key watch failed, starting it again in 0.001 s"] * 2
    assert "ValueError: first" in caplog.text


async def test_a_cancellation_that_nobody_asked_for_is_a_failure(
    tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(asyncio.CancelledError())
    _ = tasks.keep(watch, name="key watch", pause=0.001)
    async with asyncio.timeout(LIMIT):
        await watch.steady.wait()
    assert errors(caplog) == ["key watch failed, starting it again in 0.001 s"]


async def test_a_watch_that_cannot_even_be_made_is_tried_again(tasks: Tasks) -> None:
    watch, faults = Watch(), [RuntimeError("not yet")]

    def make() -> Coroutine[Any, Any, None]:
        if faults:
            raise faults.pop()
        return watch()

    _ = tasks.keep(make, name="engine watch", pause=0.001)
    async with asyncio.timeout(LIMIT):
        await watch.steady.wait()


async def test_it_pauses_between_two_runs_and_can_be_closed_then(caplog: pytest.LogCaptureFixture) -> None:
    tasks, watch = Tasks(), Watch(ValueError("broken"))
    running = tasks.keep(watch, name="key watch", pause=3600.0)
    await until(lambda: bool(errors(caplog)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert watch.runs == 1
    async with asyncio.timeout(LIMIT):
        await tasks.close()
    assert running.cancelled()


async def test_a_watch_that_fails_while_it_is_closed_is_not_started_again(caplog: pytest.LogCaptureFixture) -> None:
    tasks, begun, runs = Tasks(), asyncio.Event(), list[int]()

    async def watch() -> None:
        runs.append(1)
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("clearing up failed")

    _ = tasks.keep(watch, name="key watch", pause=0.0)
    await begun.wait()
    async with asyncio.timeout(LIMIT):
        await tasks.close()
    assert len(runs) == 1
    assert errors(caplog) == ["background task key watch failed"]


async def test_a_watch_with_nothing_to_do_may_return(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    async def watch() -> None:
        runs.append(1)

    await ended(tasks.keep(watch, name="issuer keys", pause=0.0))
    assert (len(runs), errors(caplog)) == (1, [])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.001)
