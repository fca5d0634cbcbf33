"""The workshop: check, test and evaluate a policy that nobody trusts yet, in scratch children that may die.

Whatever a policy does there (loop, recurse, allocate), the caller gets a result or one WorkshopError in words for
people, within the limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from policies.bundle import Bundle
from policies.embedded.findings import CaseResult, Inspection, Problem, Reads, ScratchLimits, TestReport
from policies.engine import PolicyFault
from policies.json import JSON

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


class WorkshopError(Exception):
    """The scratch child died, or ran out of time or of memory: the text says which, and at which file, for people."""


async def inspect(bundle: Bundle, *, limits: ScratchLimits = LIMITS, opa: Path | None = None) -> Inspection:
    """Compile and lint `bundle`; with `opa`, also what `opa check --strict` says. WorkshopError."""
    raise NotImplementedError


async def run_tests(bundle: Bundle, *, limits: ScratchLimits = LIMITS) -> TestReport:
    """Run the `test_*` rules of `bundle.tests` with coverage of its modules. WorkshopError."""
    raise NotImplementedError


class Evaluator:
    """One scratch child that holds one policy: for `eval`, `explain` and `replay`. An async context manager."""

    def __init__(self, bundle: Bundle, *, limits: ScratchLimits = LIMITS) -> None:
        """`limits.seconds` is for loading and for each batch, not for the evaluator's whole life."""
        self._bundle = bundle
        self._limits = limits

    async def __aenter__(self) -> Self:
        """Start and load. WorkshopError if the policy does not load."""
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    async def evaluate(self, document: bytes) -> JSON:
        """The decision for the input `document`. PolicyFault; PolicyEngineDown if the child died of it."""
        raise NotImplementedError

    async def rules(self, document: bytes) -> JSON:
        """The value of the whole package `data.gateway.authz`, every rule in it: for `explain`. As `evaluate`."""
        raise NotImplementedError

    async def evaluate_many(self, documents: Sequence[bytes]) -> list[JSON | PolicyFault]:
        """The decisions for `documents`, in their order. PolicyEngineDown if the child died."""
        raise NotImplementedError
