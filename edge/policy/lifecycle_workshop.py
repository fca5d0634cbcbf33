"""Where candidates are checked, tested and run: the seam between the life cycle and the scratch children."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from edge.policy.errors import PolicyToolError
from edge.policy.lifecycle_types import DECISION_BUDGET_US
from policies.bundle import Bundle
from policies.embedded import workshop
from policies.embedded.findings import Inspection, ScratchLimits, TestReport
from policies.embedded.workshop import Evaluator, WorkshopError
from policies.engine import PolicyEngineDown, PolicyEngineError, PolicyFault
from policies.json import JSON


class Running(Protocol):
    """One policy that answers; `Evaluator` is one."""

    async def evaluate(self, document: bytes) -> JSON: ...
    async def rules(self, document: bytes) -> JSON: ...
    async def evaluate_many(self, documents: Sequence[bytes]) -> list[JSON | PolicyFault]: ...


class Workshop(Protocol):
    """What the life cycle needs. Whatever fails is a PolicyToolError."""

    async def inspect(self, bundle: Bundle) -> Inspection: ...
    async def run_tests(self, bundle: Bundle) -> TestReport: ...
    def running(self, bundle: Bundle) -> AbstractAsyncContextManager[Running]: ...


class ScratchWorkshop:
    """The real one. With `opa`, checks say what `opa check --strict` says, too."""

    def __init__(self, *, opa: Path | None = None, limits: ScratchLimits = workshop.LIMITS) -> None:
        self._opa = opa
        self._limits = limits

    async def inspect(self, bundle: Bundle) -> Inspection:
        try:
            return await workshop.inspect(bundle, limits=self._limits, opa=self._opa)
        except WorkshopError as error:
            raise _gave_up("checked", error) from None

    async def run_tests(self, bundle: Bundle) -> TestReport:
        try:
            report = await workshop.run_tests(bundle, limits=self._limits)
            if _out_of_time(report):
                # Time is wall clock, and a busy machine takes it from whoever is running: once is no proof.
                report = await workshop.run_tests(bundle, limits=self._limits)
            return report
        except WorkshopError as error:
            raise _gave_up("tested", error) from None

    @asynccontextmanager
    async def running(self, bundle: Bundle) -> AsyncIterator[Running]:
        try:
            async with Evaluator(bundle, limits=self._limits) as evaluator:
                yield evaluator
        except (WorkshopError, PolicyEngineDown) as error:
            raise _gave_up("run", error) from None


def _out_of_time(report: TestReport) -> bool:
    """Whether a case took longer than a decision may; one that was stopped for it has no time of its own."""
    stopped = any(not case.passed and not case.took_us for case in report.cases)
    return stopped or report.slowest_us > DECISION_BUDGET_US


def _gave_up(what: str, error: WorkshopError | PolicyEngineError) -> PolicyToolError:
    return PolicyToolError(
        f"the policy cannot be {what} ({error})", "see what it does with `policy check` and simplify it"
    )
