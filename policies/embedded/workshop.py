"""The workshop: check, test and evaluate a policy that nobody trusts yet, in scratch children that may die.

Whatever a policy does there (loop, recurse, allocate), the caller gets a result or one WorkshopError in words for
people, within the limits.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from policies.bundle import Bundle
from policies.embedded.child import Child, ChildDied
from policies.embedded.evaluator import Evaluator
from policies.embedded.findings import (
    EVERYTHING,
    CaseResult,
    Inspection,
    Problem,
    Reads,
    ScratchLimits,
    TestReport,
    WorkshopError,
    read_case,
    read_problem,
    read_reads,
)
from policies.embedded.opacheck import opa_check
from policies.embedded.sizes import oversized
from policies.json import JSON, as_list, as_str

__all__ = [
    "CaseResult",
    "Evaluator",
    "Inspection",
    "Problem",
    "Reads",
    "ScratchLimits",
    "TestReport",
    "WorkshopError",
    "inspect",
    "run_tests",
]

LIMITS: Final = ScratchLimits()


async def inspect(bundle: Bundle, *, limits: ScratchLimits = LIMITS, opa: Path | None = None) -> Inspection:
    """Compile, lint and try out `bundle`; with `opa`, also what `opa check --strict` says.

    A policy that is too large, does not compile or runs away is found out, not raised. WorkshopError if the child dies
    before it is known what of.
    """
    refused = oversized(bundle)
    if refused:
        return Inspection(refused, EVERYTHING)
    job = _Inspecting(limits)
    await job.run(bundle)
    if opa is not None:
        await job.check(opa, bundle)
    ordered = sorted(set(job.problems), key=lambda item: (item.file, item.row, item.column, item.code, item.message))
    return Inspection(tuple(ordered), job.reads)


class _Inspecting:
    """One inspection on its way."""

    def __init__(self, limits: ScratchLimits) -> None:
        self._limits = limits
        self._at = "the policy"
        self._trial: Problem | None = None
        self.problems: list[Problem] = []
        self.reads = EVERYTHING

    async def run(self, bundle: Bundle) -> None:
        try:
            child = await Child.start(self._limits, cpu=True)
            try:
                async with asyncio.timeout(self._limits.seconds):
                    await self._listen(child, bundle)
            finally:
                await child.close()
        except ChildDied as error:
            self._died(str(error))
        except TimeoutError:
            self._died(f"took longer than {self._limits.seconds:g} s")

    async def _listen(self, child: Child, bundle: Bundle) -> None:
        child.ask("inspect", modules={**bundle.modules}, tests={**bundle.tests}, data=bundle.data)
        while True:
            match await child.hear():
                case "at", str(file):
                    self._at = file
                case "trial", value:
                    self._trial = read_problem(value)
                case "problem", value:
                    self.problems.append(read_problem(value))
                case "reads", value:
                    self.reads = read_reads(value)
                case "done", _:
                    return
                case _:
                    raise ChildDied("said something that is not known")

    def _died(self, cause: str) -> None:
        """The policy's doing if it was being tried out; otherwise nothing certain can be said of it."""
        if self._trial is None:
            raise WorkshopError(f"checking the policy {cause}, at {self._at}") from None
        self.problems.append(replace(self._trial, message=f"deciding {self._trial.message} {cause}"))

    async def check(self, opa: Path, bundle: Bundle) -> None:
        """Add what `opa` says; where both speak of one row, our word is enough."""
        try:
            found = await opa_check(opa, {**bundle.modules, **bundle.tests}, self._limits)
        except TimeoutError:
            raise WorkshopError(f"opa check took longer than {self._limits.seconds:g} s") from None
        except OSError as error:
            raise WorkshopError(f"opa cannot be run: {error}") from None
        said = {(item.file, item.row) for item in self.problems if item.severity == "error"}
        self.problems += [item for item in found if (item.file, item.row) not in said]


async def run_tests(bundle: Bundle, *, limits: ScratchLimits = LIMITS) -> TestReport:
    """Run the `test_*` rules of `bundle.tests` with coverage of its modules.

    A test that takes longer than `limits.decision_seconds`, or that ends the child, has failed; the others still run.
    WorkshopError if all of them together take longer than `limits.seconds`, or the files cannot even be loaded.
    """
    refused = oversized(bundle)
    if refused:
        return TestReport((), 0.0, (), 0, refused)
    job = _Testing(limits)
    try:
        async with asyncio.timeout(limits.seconds):
            while not await job.run(bundle):
                pass
    except TimeoutError:
        raise WorkshopError(f"the tests took longer than {limits.seconds:g} s, at {job.place}") from None
    return job.report()


class _Testing:
    """One run of tests on its way, through as many children as it takes."""

    def __init__(self, limits: ScratchLimits) -> None:
        self._limits = limits
        self._at = ("", "the policy", 0)
        self.place = "the policy"
        """What was worked on last, for people; between two children still that of the first."""
        self._cases: list[CaseResult] = []
        self._problems: list[Problem] = []
        self._ran: set[tuple[str, int]] = set()
        self._rows: set[tuple[str, int]] = set()

    async def run(self, bundle: Bundle) -> bool:
        """Run what has not run yet; whether that was all. A test that ends the child is the last of this run."""
        self._at = ("", "the policy", 0)
        try:
            child = await Child.start(self._limits, cpu=True)
            try:
                await self._listen(child, bundle)
            finally:
                await child.close()
        except ChildDied as error:
            name, file, row = self._at
            if not name:
                raise WorkshopError(f"loading the policy {error}, at {file}") from None
            self._cases.append(CaseResult(name, file, row, passed=False, message=f"it {error}", took_us=0))
            return False
        return True

    async def _listen(self, child: Child, bundle: Bundle) -> None:
        skip: list[JSON] = [case.name for case in self._cases]
        child.ask("test", modules={**bundle.modules}, tests={**bundle.tests}, data=bundle.data, skip=skip)
        while True:
            match await child.hear():
                case "at", [str(name), str(file), int(row)]:
                    self._at = (name, file, row)
                    if name or not self._cases:
                        self.place = f"{name} in {file}:{row}" if name else file
                case "case", value:
                    self._cases.append(read_case(value))
                case "coverage", [list(ran), list(idle)]:
                    self._ran |= _rows(ran)
                    self._rows |= _rows([*ran, *idle])
                case "problem", value:
                    self._problems.append(read_problem(value))
                case "done", _:
                    return
                case _:
                    raise ChildDied("said something that is not known")

    def report(self) -> TestReport:
        return TestReport(
            cases=tuple(self._cases),
            coverage=len(self._ran) / len(self._rows) if self._rows else 0.0,
            uncovered=tuple(sorted(self._rows - self._ran)),
            slowest_us=max((case.took_us for case in self._cases), default=0),
            problems=tuple(self._problems),
        )


def _rows(value: list[JSON]) -> set[tuple[str, int]]:
    pairs = [as_list(item) for item in value]
    return {(as_str(file), row) for file, row in pairs if isinstance(row, int)}
