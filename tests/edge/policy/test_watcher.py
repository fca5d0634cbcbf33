"""PolicyWatcher: another process's change is taken over within a second, and nothing that fails ends the watch."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.policy.folder import write_folder
from edge.policy.source import PolicySource, ShadowPlan
from edge.policy.store import PolicyStore
from edge.policy.store_types import Action
from edge.policy.watcher import PolicyWatcher
from policies.bundle import Bundle
from tests.edge.policy.fixtures import bundle, open_policies

A, B, C, DEFAULT = bundle("a"), bundle("b"), bundle("c"), bundle("default")
DEADLINE = 30.0
APPLY = """
import sys, time
from pathlib import Path
from edge.policy.store_types import Action
from tests.edge.policy.fixtures import bundle, open_policies
store = open_policies(Path(sys.argv[1]))
sys.stdin.read(1)
store.apply(bundle("a"), after=0, author="a", note="", action=Action.APPLY, report={})
print(time.time())
"""


class Taker:
    """Takes policies over, or fails to."""

    def __init__(self) -> None:
        self.taken: list[tuple[Bundle, ShadowPlan | None]] = []
        self.offered = 0
        self.fails = False
        self.at = 0.0

    async def __call__(self, policy: Bundle, shadow: ShadowPlan | None) -> None:
        self.offered += 1
        if self.fails:
            raise RuntimeError("the engine does not start")
        self.taken.append((policy, shadow))
        self.at = time.time()

    @property
    def bundles(self) -> list[Bundle]:
        return [policy for policy, _ in self.taken]


def apply(store: PolicyStore, policy: Bundle, after: int) -> None:
    store.apply(policy, after=after, author="a", note="", action=Action.APPLY, report={})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(source: PolicySource, taker: Taker, poll: float = 0.01) -> AsyncIterator[PolicyWatcher]:
    watcher = PolicyWatcher(source, taker, poll=poll)
    watcher.load()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.run())
        yield watcher
        task.cancel()


async def test_what_another_process_applies_is_taken_over_within_a_second(tmp_path: Path) -> None:
    taker = Taker()
    async with watching(PolicySource(open_policies(tmp_path), DEFAULT), taker, poll=0.2) as watcher:
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", APPLY, str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        out, _ = await other.communicate(b"go")
        await until(lambda: bool(taker.taken))
    assert taker.bundles == [A]
    assert taker.at - float(out) < 1.0
    assert watcher.in_force is not None
    assert watcher.in_force.bundle == A


async def test_an_edited_folder_is_taken_over_once_it_keeps_still(tmp_path: Path) -> None:
    write_folder(A, tmp_path / "policy")
    taker = Taker()
    source = PolicySource(open_policies(tmp_path), DEFAULT, folder=tmp_path / "policy")
    async with watching(source, taker):
        (tmp_path / "policy" / "access.rego").write_text(B.modules["access.rego"])
        await until(lambda: bool(taker.taken))
    assert taker.bundles == [B]


async def test_a_folder_that_cannot_be_read_keeps_the_last_good_policy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "policy"
    write_folder(A, folder)
    taker = Taker()
    async with watching(PolicySource(open_policies(tmp_path), DEFAULT, folder=folder), taker) as watcher:
        folder.rename(tmp_path / "away")
        await until(lambda: "the last good one stays" in caplog.text)
        assert watcher.in_force is not None
        assert watcher.in_force.bundle == A
        write_folder(B, folder)
        await until(lambda: bool(taker.taken))
    assert taker.bundles == [B]
    assert "works again" in caplog.text
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 2


async def test_a_policy_that_is_not_taken_over_is_offered_again_until_there_is_another(tmp_path: Path) -> None:
    store, taker = open_policies(tmp_path), Taker()
    async with watching(PolicySource(store, DEFAULT), taker) as watcher:
        taker.fails = True
        apply(store, A, 0)
        await until(lambda: taker.offered >= 3)
        assert watcher.in_force is not None
        assert watcher.in_force.bundle == DEFAULT
        taker.fails = False
        apply(store, B, 1)
        await until(lambda: B in taker.bundles)
    assert taker.bundles in ([B], [A, B])


async def test_the_pauses_between_offers_grow(tmp_path: Path) -> None:
    store, taker = open_policies(tmp_path), Taker()
    taker.fails = True
    watcher = PolicyWatcher(PolicySource(store, DEFAULT), taker, poll=1.0)
    watcher.load()
    apply(store, A, 0)
    pauses = []
    for _ in range(7):
        await watcher._offer(*watcher._source.load())
        pauses.append(round(watcher._retry_at - asyncio.get_running_loop().time()))
    assert pauses == [2, 4, 8, 16, 30, 30, 30]


async def test_a_shadow_starts_stops_and_counting_is_no_change(tmp_path: Path) -> None:
    store, taker = open_policies(tmp_path), Taker()
    async with watching(PolicySource(store, DEFAULT), taker):
        shadow = store.start_shadow(C, 0.5, "ann")
        await until(lambda: len(taker.taken) == 1)
        store.count_shadow(shadow.identity, lambda _: {"seen": 1})
        store.stop_shadow()
        await until(lambda: len(taker.taken) == 2)
    (first, plan), last = taker.taken
    assert plan is not None
    assert (first, plan.stored.identity) == (DEFAULT, shadow.identity)
    assert last == (DEFAULT, None)


async def test_applying_what_runs_already_changes_nothing(tmp_path: Path) -> None:
    store, taker = open_policies(tmp_path), Taker()
    async with watching(PolicySource(store, DEFAULT), taker):
        apply(store, DEFAULT, 0)
        apply(store, A, 1)
        await until(lambda: bool(taker.taken))
    assert taker.bundles == [A]


async def test_several_changes_while_one_is_taken_over_are_one(tmp_path: Path) -> None:
    store = open_policies(tmp_path)
    busy, free = asyncio.Event(), asyncio.Event()
    taken: list[Bundle] = []

    async def slow(policy: Bundle, _: ShadowPlan | None) -> None:
        taken.append(policy)
        busy.set()
        await free.wait()

    watcher = PolicyWatcher(PolicySource(store, DEFAULT), slow, poll=0.01)
    watcher.load()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watcher.run())
        apply(store, A, 0)
        await asyncio.wait_for(busy.wait(), DEADLINE)
        apply(store, B, 1)
        apply(store, C, 2)
        free.set()
        await until(lambda: C in taken)
        task.cancel()
    assert taken == [A, C]
