"""One policy after the other, swapped whole: a bad one changes nothing, a question is never lost in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from edge.config.settings import Policy, PolicyEngineKind
from edge.policy.engines import maker
from edge.policy.errors import PolicyToolError
from edge.policy.service import PolicyService
from edge.tasks import Tasks
from policies.bundle import Bundle
from policies.json import Object
from policies.opa.engine import ChildEngine
from policies.pdp import CACHE

TEXT = """package gateway.authz

default allow := false

allow if input.model.resolved == "%s"

decision := {"allow": allow, "reasons": [], "obligations": {}, "grants": []}
"""


def only(model: str, extra: str = "") -> Bundle:
    return Bundle({"access.rego": TEXT % model + extra})


def about(model: str, number: int = 0) -> Object:
    return {"v": 1, "id": str(number), "operation": "chat", "model": {"resolved": model}}


@pytest.fixture
async def service() -> AsyncIterator[PolicyService]:
    tasks = Tasks()
    settings = Policy(engine=PolicyEngineKind.EMBEDDED, timeout=5.0)
    made = PolicyService(settings, maker(settings), tasks, clock=time.perf_counter)
    try:
        yield made
    finally:
        await tasks.close()
        await made.close()


async def allowed(service: PolicyService, model: str) -> bool | None:
    decision = (await service.ask(about(model))).decision
    return None if decision is None else decision.allow


async def until_cached(service: PolicyService, model: str) -> None:
    async with asyncio.timeout(20):
        while (await service.ask(about(model))).engine != CACHE:
            await asyncio.sleep(0.01)


async def test_the_policy_in_force_decides_and_its_answers_are_kept(service: PolicyService) -> None:
    active = await service.start(only("one"), unchecked=False)
    assert active.revision == only("one").revision
    assert (await allowed(service, "one"), await allowed(service, "two")) == (True, False)
    assert not service.point.caches
    service.look()
    await until_cached(service, "one")


async def test_another_one_takes_over_and_nothing_is_remembered(service: PolicyService) -> None:
    active = await service.start(only("one"), unchecked=False)
    service.look()
    await until_cached(service, "one")
    before = active.revision
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(active.differs(before, 20.0))
        await service.take(only("two"))
        assert (await allowed(service, "one"), await allowed(service, "two")) == (False, True)
        assert await waiting
    assert active.revision == only("two").revision
    await until_cached(service, "two")


async def test_no_question_is_lost_while_policies_change(service: PolicyService) -> None:
    await service.start(only("one"), unchecked=False)
    over = asyncio.Event()
    failures: list[str] = []

    async def keep_asking() -> None:
        number = 0
        while not over.is_set():
            number += 1
            answer = await service.ask(about(f"m{number}", number))
            if answer.decision is None or answer.decision.allow:
                failures.append(answer.detail)

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(keep_asking())
        for model in ("two", "three", "four"):
            await service.take(only(model))
        over.set()
    assert failures == []


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (only("two", "\nallow := := 1\n"), r"access\.rego:9"),
        (only("two", '\nx := http.send({"method": "get", "url": "http://127.0.0.1:1"})\n'), "http.send"),
        (Bundle({"access.rego": 'package gateway.authz\n\ndecision := {"allow": true}\n'}), "access"),
        (Bundle({}), "policy"),
    ],
)
async def test_a_policy_that_does_not_pass_changes_nothing(service: PolicyService, bundle: Bundle, said: str) -> None:
    active = await service.start(only("one"), unchecked=False)
    with pytest.raises(PolicyToolError, match=said):
        await service.take(bundle)
    assert active.revision == only("one").revision
    assert await allowed(service, "one")


async def test_what_nobody_has_checked_is_checked_before_it_decides(service: PolicyService) -> None:
    with pytest.raises(PolicyToolError, match="does not pass"):
        await service.start(
            Bundle({"a.rego": 'package gateway.authz\n\ndecision := {"allow": true}\n'}), unchecked=True
        )


async def test_what_was_checked_first_is_kept_from_the_first_answer_on(service: PolicyService) -> None:
    await service.start(only("one"), unchecked=True)
    assert [(await service.ask(about("one", number))).engine for number in (1, 2)] == ["embedded", CACHE]


async def test_a_policy_that_reads_what_always_changes_is_asked_each_time(service: PolicyService) -> None:
    await service.start(only("none"), unchecked=False)
    await service.take(only("one", '\nallow if input.id == "7"\n'))
    assert not service.point.caches
    assert (await service.ask(about("two", 7))).decision is not None
    assert (await service.ask(about("two", 7))).engine == "embedded"
    decisions = [(await service.ask(about("two", number))).decision for number in (6, 7)]
    assert [decision.allow for decision in decisions if decision] == [False, True]


async def test_nothing_is_left_behind_when_it_ends_in_the_middle_of_a_change(service: PolicyService) -> None:
    await service.start(only("one"), unchecked=False)
    engine = service.point.engine
    assert isinstance(engine, ChildEngine)
    await service.take(only("two"))
    await service.close()
    assert not engine.folder.exists()
