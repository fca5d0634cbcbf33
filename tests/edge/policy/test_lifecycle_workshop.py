"""The seam to the scratch children: a busy machine is no slow policy, and what gives up says so in one line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge.policy.errors import PolicyToolError
from edge.policy.lifecycle_types import failures
from edge.policy.lifecycle_workshop import ScratchWorkshop
from policies.bundle import Bundle
from policies.embedded import workshop
from policies.embedded.findings import CaseResult, ScratchLimits, TestReport
from policies.embedded.workshop import WorkshopError
from tests.edge.policy.workbench import policy


def report(took_us: int, *, passed: bool = True) -> TestReport:
    return TestReport((CaseResult("test_x", "x_test.rego", 1, passed, "", took_us),), 1.0, (), took_us, ())


SLOW, STOPPED, FAILED, GOOD = report(300_000), report(0, passed=False), report(5, passed=False), report(5)


@pytest.mark.parametrize(
    ("first", "second", "passes"),
    [
        (SLOW, GOOD, True),
        (STOPPED, GOOD, True),
        (SLOW, SLOW, False),
        (STOPPED, STOPPED, False),
        (FAILED, GOOD, False),  # what fails in time fails: it is not asked again
    ],
)
async def test_only_time_gets_a_second_chance(
    monkeypatch: pytest.MonkeyPatch, first: TestReport, second: TestReport, passes: bool
) -> None:
    answers: Iterator[TestReport] = iter([first, second])

    async def run_tests(_bundle: Bundle, *, limits: ScratchLimits) -> TestReport:
        return next(answers)

    monkeypatch.setattr(workshop, "run_tests", run_tests)
    found = await ScratchWorkshop().run_tests(policy("a"))
    assert (failures(found) == []) is passes


async def test_a_child_that_gives_up_is_one_line_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(_bundle: Bundle, **_: object) -> TestReport:
        raise WorkshopError("it took more than 10 s")

    for name in ("inspect", "run_tests"):
        monkeypatch.setattr(workshop, name, dies)
    bench = ScratchWorkshop()
    with pytest.raises(PolicyToolError, match=r"cannot be checked \(it took more than 10 s\): "):
        await bench.inspect(policy("a"))
    with pytest.raises(PolicyToolError, match=r"cannot be tested \(it took more than 10 s\): "):
        await bench.run_tests(policy("a"))


async def test_a_policy_that_does_not_load_does_not_run() -> None:
    with pytest.raises(PolicyToolError, match="cannot be run"):
        async with ScratchWorkshop().running(Bundle({"x.rego": "package gateway.authz\nallow if {"})):
            pass
