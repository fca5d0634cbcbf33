"""Settlements that wait."""

from __future__ import annotations

import pytest

from edge.limits.backlog import Backlog
from edge.limits.contract import Actual, Ask, Held, StoreDown
from tests.edge.limits.waiting import until


class Store:
    """Fails as often as it is told to."""

    def __init__(self) -> None:
        self.failures = 0
        self.settled: list[str] = []

    async def settle(self, held: Held, actual: Actual) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreDown("away")
        self.settled.append(held.id)


def held(number: int) -> Held:
    return Held(str(number), Ask(()), 0, ())


async def test_at_once_and_in_order_after_a_failure() -> None:
    store = Store()
    backlog = Backlog(store.settle, pause=0.01)
    await backlog.settle(held(0), Actual())
    store.failures = 3
    await backlog.settle(held(1), Actual())
    backlog.later(held(2), Actual())
    await until(lambda: not backlog)
    assert store.settled == ["0", "1", "2"]
    await backlog.close()


async def test_is_bounded_and_gives_up_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.failures = 10**9
    backlog = Backlog(store.settle, most=3, pause=0.01)
    for number in range(5):
        await backlog.settle(held(number), Actual())
    assert (len(backlog), backlog.lost) == (3, 2)
    store.failures = 0
    await until(lambda: not backlog)
    assert store.settled == ["2", "3", "4"]
    assert "the oldest are given up" in caplog.text
    await backlog.close()


async def test_the_end_waits_a_moment_and_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.failures = 2
    backlog = Backlog(store.settle, pause=0.01)
    await backlog.settle(held(1), Actual())
    await backlog.close()
    assert store.settled == ["1"]
    store.failures = 10**9
    await backlog.settle(held(2), Actual())
    await backlog.close(patience=0.05)
    assert "1 settlements did not reach Redis" in caplog.text
