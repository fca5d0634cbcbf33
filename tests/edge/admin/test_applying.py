"""A PUT goes through the real life cycle and store; only the scratch children have a double."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge.admin.applying import LifecycleAdmin
from edge.policy.errors import PolicyMoved, PolicyToolError
from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.source import PolicySource
from edge.policy.store import PolicyStore
from edge.policy.store_types import Action
from edge.store.database import Database
from policies.bundle import Bundle
from policies.embedded.findings import EVERYTHING, Inspection, Problem, TestReport
from policies.engine import PolicyFault
from policies.json import JSON
from tests.edge.admin.harness import policy

DEFAULT = policy("default")


@dataclass
class Bench:
    """A workshop that finds what it is told to, and does `meanwhile` while it tests."""

    problems: tuple[Problem, ...] = ()
    meanwhile: Callable[[], object] = lambda: None
    tested: list[Bundle] = field(default_factory=list)

    async def inspect(self, bundle: Bundle) -> Inspection:
        return Inspection(self.problems, EVERYTHING)

    async def run_tests(self, bundle: Bundle) -> TestReport:
        self.tested.append(bundle)
        self.meanwhile()
        return TestReport((), 1.0, (), 0, ())

    @asynccontextmanager
    async def running(self, bundle: Bundle) -> AsyncIterator[Nothing]:
        yield Nothing()


class Nothing:
    """There are no records to replay."""

    async def evaluate(self, document: bytes) -> JSON:
        raise AssertionError

    async def rules(self, document: bytes) -> JSON:
        raise AssertionError

    async def evaluate_many(self, documents: Sequence[bytes]) -> list[JSON | PolicyFault]:
        assert documents == []
        return []


@dataclass
class House:
    store: PolicyStore
    bench: Bench
    admin: LifecycleAdmin

    async def apply(self, bundle: Bundle, expected: str) -> None:
        await self.admin.apply(bundle, expected=expected, author="boss", note="why", confirm_new_access=False)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    database = Database(f"sqlite:///{tmp_path / 'gateway.db'}")
    store, bench = PolicyStore(database), Bench()
    source = PolicySource(store, DEFAULT, configured={"configured": True})
    lifecycle = PolicyLifecycle(source, tmp_path / "decisions", workshop=bench)
    yield House(store, bench, LifecycleAdmin(lambda: lifecycle, os.urandom))
    await asyncio.to_thread(database.close)


async def test_other_data_is_tested_applied_and_kept_in_the_history(house: House) -> None:
    written = await house.admin.written()
    assert written == DEFAULT
    wanted = replace(written, data={"open": False})
    await house.apply(wanted, written.revision)
    assert (await house.admin.written()).revision == wanted.revision
    assert [bundle.data for bundle in house.bench.tested] == [{"open": False, "configured": True}]
    (entry,) = house.store.history(10)
    assert (entry.revision, entry.author, entry.note) == (wanted.revision, "boss", "why")
    assert house.store.drafts() == []


async def test_what_came_into_force_before_or_while_it_was_tried_is_not_overwritten(house: House) -> None:
    wanted = replace(DEFAULT, data={"open": False})
    with pytest.raises(PolicyMoved):
        await house.apply(wanted, "of another policy")
    other = replace(DEFAULT, data={"faster": True})
    house.bench.meanwhile = lambda: house.store.apply(
        other, after=0, author="x", note="", action=Action.APPLY, report={}
    )
    with pytest.raises(PolicyMoved):
        await house.apply(wanted, DEFAULT.revision)
    assert (await house.admin.written()).revision == other.revision
    assert house.store.drafts() == []


async def test_what_does_not_pass_is_not_applied_and_leaves_no_draft(house: House) -> None:
    house.bench.problems = (Problem("access.rego", 3, 1, "x", "no", "error"),)
    with pytest.raises(PolicyToolError, match=r"access\.rego"):
        await house.apply(replace(DEFAULT, data={"open": False}), DEFAULT.revision)
    assert await house.admin.written() == DEFAULT
    assert house.store.drafts() == []
    assert house.store.history(10) == []
