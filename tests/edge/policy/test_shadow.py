"""Shadow: sampled, bounded, counted for all gateways, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.identity.state import StateError
from edge.policy.shadow import _CAPACITY, Candidate, Shadow, added
from edge.policy.store import PolicyStore
from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, Object, as_list, as_object
from tests.edge.policy.fixtures import NOW, open_policies
from tests.edge.policy.workbench import Engine, policy, record

DEADLINE = 30.0


@pytest.fixture
def store(tmp_path: Path) -> PolicyStore:
    return open_policies(tmp_path)


def made(
    store: PolicyStore, candidate: Candidate, *, sample: float = 1.0, rolls: Iterator[float] | None = None
) -> Shadow:
    stored = store.start_shadow(policy("a"), sample, "ann")
    dice = rolls or iter([0.0] * 100_000)
    return Shadow(stored, candidate, store, randomness=lambda: next(dice), now=lambda: NOW + 5, flush=0.02)


@asynccontextmanager
async def running(shadow: Shadow) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(shadow.run())
        yield
        task.cancel()


def counters(store: PolicyStore) -> Object:
    shadow = store.shadow()
    assert shadow is not None
    return shadow.counters


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


class Failing:
    """Answers what it was made with."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def evaluate(self, document: bytes) -> JSON:
        raise self.error


async def test_it_counts_what_it_would_have_decided_otherwise(store: PolicyStore) -> None:
    shadow = made(store, Engine(policy("a")))
    async with running(shadow):
        shadow.offer(record(1, "a", allow=True))
        shadow.offer(record(2, "a", allow=False))
        await until(lambda: counters(store).get("compared") == 2)
        shadow.offer(record(3, "b", allow=True))
        await until(lambda: counters(store).get("compared") == 3)
    found = counters(store)
    examples = [as_object(each) for each in as_list(found.pop("examples"))]
    assert found == {
        "compared": 3,
        "same": 1,
        "errors": 0,
        "flips": {"deny->allow": 1, "allow->deny": 1},
        "by": {"deny->allow": {"not_listed": 1}, "allow->deny": {"not_listed": 1}},
        "updated_at": NOW + 5,
    }
    assert [(each["id"], each["kind"], each["caller"]) for each in examples] == [
        ("req-3", "allow->deny", "ann"),
        ("req-2", "deny->allow", "ann"),
    ]


async def test_only_the_sampled_share_is_judged(store: PolicyStore) -> None:
    shadow = made(store, Engine(policy("a")), sample=0.5, rolls=iter([0.0, 0.49, 0.5, 0.99]))
    async with running(shadow):
        for number in range(4):
            shadow.offer(record(number, "a", allow=True))
        await until(lambda: counters(store).get("compared") == 2)


async def test_what_does_not_fit_is_dropped_and_counted(store: PolicyStore) -> None:
    shadow = made(store, Engine(policy("a")))
    for number in range(_CAPACITY + 7):
        shadow.offer(record(number, "a", allow=True))
    async with running(shadow):
        await until(lambda: counters(store).get("compared") == _CAPACITY)
    assert counters(store)["dropped"] == 7


async def test_a_candidate_that_fails_is_counted_as_what_it_is(store: PolicyStore) -> None:
    shadow = made(store, Failing(PolicyFault("conflict")))
    async with running(shadow):
        shadow.offer(record(1, "a", allow=True))
        await until(lambda: counters(store).get("errors") == 1)
    assert counters(store)["flips"] == {"allow->deny": 1}
    shadow = made(store, Failing(PolicyEngineDown("dead")))
    async with running(shadow):
        shadow.offer(record(1, "a", allow=True))
        await until(lambda: counters(store).get("unanswered") == 1)
    assert "compared" not in counters(store)


async def test_what_was_counted_is_stored_at_the_end_too(store: PolicyStore) -> None:
    stored = store.start_shadow(policy("a"), 1.0, "ann")
    shadow = Shadow(stored, Engine(policy("a")), store, randomness=lambda: 0.0, now=lambda: NOW, flush=3_600)
    async with running(shadow):
        shadow.offer(record(1, "a", allow=True))
        await until(lambda: shadow._seen.get("compared") == 1)
    assert counters(store)["compared"] == 1


async def test_it_ends_when_another_one_runs(store: PolicyStore) -> None:
    shadow = made(store, Engine(policy("a")))
    other = store.start_shadow(policy("b"), 1.0, "bob")
    shadow.offer(record(1, "a", allow=True))
    await asyncio.wait_for(shadow.run(), DEADLINE)
    assert store.shadow() == other


class Unsteady:
    """A database that is away the first times."""

    def __init__(self, store: PolicyStore, failures: int) -> None:
        self.store = store
        self.left = failures

    def count_shadow(self, identity: tuple[str, float, float], add: Callable[[Object], Object]) -> bool:
        if self.left:
            self.left -= 1
            raise StateError("the database is away", "wait")
        return self.store.count_shadow(identity, add)


async def test_a_database_that_is_away_loses_no_count(store: PolicyStore, caplog: pytest.LogCaptureFixture) -> None:
    stored = store.start_shadow(policy("a"), 1.0, "ann")
    shadow = Shadow(
        stored, Engine(policy("a")), Unsteady(store, 3), randomness=lambda: 0.0, now=lambda: NOW, flush=0.01
    )
    async with running(shadow):
        shadow.offer(record(1, "a", allow=True))
        await until(lambda: counters(store).get("compared") == 1)
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1


def test_counters_stay_small() -> None:
    total: Object = {}
    for number in range(1_000):
        total = added(total, {"by": {"deny->allow": {f"code_{number}": 1}}, "examples": [{"id": str(number)}]})
    assert len(as_object(as_object(total["by"])["deny->allow"])) == 100
    assert [as_object(each)["id"] for each in as_list(total["examples"])] == [str(n) for n in range(999, 979, -1)]
