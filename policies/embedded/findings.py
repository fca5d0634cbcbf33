"""What a workshop run finds: values that travel from the scratch child to whoever asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from policies.json import JSON, as_count, as_list, as_object, as_str


class WorkshopError(Exception):
    """The scratch child died, or ran out of time or of memory: the text says which, and at which file, for people."""


Severity: TypeAlias = Literal["error", "warning"]
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a policy's text. `row` and `column` count from 1; 0 where there is no place in the text.

    `code` is stable, for scripts; `message` is for people. An error means: do not apply.
    """

    file: str
    row: int
    column: int
    code: str
    message: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Reads:
    """Which parts of `input` the modules (not the tests) may read: an over-approximation.

    `paths` are prefix-free and sorted: a path stands for everything below it. `whole`: it cannot be told, treat as
    everything. `volatile`: the result may differ for inputs that are equal but for what changes with every request
    (`id`, `trace_id`, `time.now_ns`, `time.iso`, `time.minute`, `usage`), or even for equal inputs (clock, random).
    """

    paths: tuple[tuple[str, ...], ...]
    whole: bool
    volatile: bool


EVERYTHING: Final = Reads((), whole=True, volatile=True)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What `inspect` found."""

    problems: tuple[Problem, ...]
    reads: Reads

    @property
    def ok(self) -> bool:
        """Whether the policy may be applied: no errors (there may be warnings)."""
        return all(problem.severity != "error" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One `test_*` rule. `message` is "" for a pass; `took_us` microseconds of evaluation."""

    name: str
    file: str
    row: int
    passed: bool
    message: str
    took_us: int


@dataclass(frozen=True, slots=True)
class TestReport:
    """What `run_tests` found.

    `coverage` is the share, 0.0 to 1.0, of the modules' lines that can be run and were; `uncovered` the others as
    (file, row). `slowest_us` is the longest case. `problems` are what kept tests from running at all (syntax errors).
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    cases: tuple[CaseResult, ...]
    coverage: float
    uncovered: tuple[tuple[str, int], ...]
    slowest_us: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ScratchLimits:
    """What a scratch child may use: seconds of wall clock and CPU in all, bytes of address space, seconds per decision.

    The address space is limited on Linux only: macOS does not enforce RLIMIT_AS.
    """

    seconds: float = 10.0
    memory_bytes: int = 512 * _MIB
    decision_seconds: float = 0.25


def read_problem(value: JSON) -> Problem:
    """A problem as `dataclasses.asdict` wrote it."""
    found = as_object(value)
    row, column = as_count(found.get("row")) or 0, as_count(found.get("column")) or 0
    severity: Severity = "warning" if found.get("severity") == "warning" else "error"
    return Problem(
        as_str(found.get("file")), row, column, as_str(found.get("code")), as_str(found.get("message")), severity
    )


def read_reads(value: JSON) -> Reads:
    """Reads as `dataclasses.asdict` wrote them."""
    found = as_object(value)
    paths = tuple(tuple(as_str(word) for word in as_list(path)) for path in as_list(found.get("paths")))
    return Reads(paths, whole=found.get("whole") is not False, volatile=found.get("volatile") is not False)


def read_case(value: JSON) -> CaseResult:
    """A case as `dataclasses.asdict` wrote it."""
    found = as_object(value)
    return CaseResult(
        name=as_str(found.get("name")),
        file=as_str(found.get("file")),
        row=as_count(found.get("row")) or 0,
        passed=found.get("passed") is True,
        message=as_str(found.get("message")),
        took_us=as_count(found.get("took_us")) or 0,
    )
