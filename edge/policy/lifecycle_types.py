"""What the life cycle hands out, and its documents for scripts and pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from edge.policy.source import InForce
from edge.policy.store_types import Action, Entry, Instance, StoredShadow
from observability.decisions.reader import LogStats
from policies.bundle import Bundle
from policies.embedded.findings import Inspection, Problem, TestReport
from policies.json import JSON, Object
from policies.lifecycle.diff import Difference
from policies.lifecycle.replay import Kind
from policies.lifecycle.report import Report

Progress: TypeAlias = "Callable[[int], None]"
"""Told how many recorded decisions have been replayed so far."""

DECISION_BUDGET_US: Final = 250_000
"""A test case that takes longer than a live decision may (`policy.timeout`) is a decision that would be a no."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy somebody named. `own` as written, `bundle` as it would run; `default`: whatever the gateway brings."""

    ref: str
    own: Bundle
    bundle: Bundle
    default: bool = False

    @property
    def stored(self) -> Bundle | None:
        """What the store keeps: the default policy is not pinned to the text of today's version."""
        return None if self.default else self.own


@dataclass(frozen=True, slots=True)
class Preview:
    """What putting `candidate` in force would do. `after`: the newest entry of the history it was compared with."""

    candidate: Candidate
    action: Action
    after: int
    unchanged: bool
    difference: Difference
    inspection: Inspection
    tests: TestReport | None
    replay: Report

    def report(self) -> Object:
        """The summary that the history keeps."""
        flips: Object = {kind.value: self.replay.kinds[kind] for kind in Kind}
        document: Object = {
            "warnings": sum(problem.severity == "warning" for problem in self.inspection.problems),
            "replay": {"compared": self.replay.compared, "same": self.replay.same, "flips": flips},
        }
        if self.tests is not None:
            passed = sum(case.passed for case in self.tests.cases)
            document["tests"] = {"passed": passed, "coverage": round(self.tests.coverage, 4)}
        return document


@dataclass(frozen=True, slots=True)
class Status:
    """What is in force, and who runs it."""

    in_force: InForce
    head: Entry | None
    shadow: StoredShadow | None
    instances: tuple[Instance, ...]
    log: LogStats

    def document(self) -> Object:
        """As JSON for scripts: `revision` is what decisions carry, `source_revision` the policy as written."""
        instances: list[JSON] = [
            {**each.document(), "current": each.revision == self.in_force.bundle.revision} for each in self.instances
        ]
        return {
            "origin": self.in_force.origin.value,
            "revision": self.in_force.bundle.revision,
            "source_revision": self.in_force.own.revision,
            "applied": None if self.head is None else self.head.document(),
            "shadow": shadow_document(self.shadow),
            "instances": instances,
            "decisions": {
                "records": self.log.records,
                "bytes": self.log.size,
                "lost": self.log.dropped,
                "oldest": self.log.oldest,
                "newest": self.log.newest,
            },
        }


def shadow_document(shadow: StoredShadow | None) -> Object | None:
    """The shadow and what it has counted."""
    if shadow is None:
        return None
    return {
        "revision": shadow.bundle.revision,
        "sample": shadow.sample,
        "started_at": shadow.started_at,
        "author": shadow.author,
        "counters": shadow.counters,
    }


def failures(tests: TestReport) -> list[str]:
    """Why the tests are no pass; empty if they are."""
    found = [place(problem) for problem in tests.problems if problem.severity == "error"]
    found += [
        f"{case.file}:{case.row}: {case.name}: {case.message or 'failed'}" for case in tests.cases if not case.passed
    ]
    if tests.slowest_us > DECISION_BUDGET_US:
        found.append(f"the slowest case takes {tests.slowest_us // 1000} ms, over {DECISION_BUDGET_US // 1000}")
    return found


def errors(inspection: Inspection) -> list[str]:
    """What keeps a policy from being applied; empty if nothing does."""
    return [place(problem) for problem in inspection.problems if problem.severity == "error"]


def place(problem: Problem) -> str:
    """`file:row:column: message [code]`, as compilers write it."""
    where = ":".join(str(part) for part in (problem.file, problem.row, problem.column) if part)
    return f"{where}: {problem.message} [{problem.code}]" if where else f"{problem.message} [{problem.code}]"


def inspection_document(candidate: Candidate, inspection: Inspection) -> Object:
    """`policy check` as JSON."""
    reads = inspection.reads
    paths: list[JSON] = [".".join(("input", *path)) for path in reads.paths]
    return {
        "revision": candidate.own.revision,
        "ok": inspection.ok,
        "problems": _problems(inspection.problems),
        "reads": {"paths": paths, "whole": reads.whole, "volatile": reads.volatile},
    }


def tests_document(candidate: Candidate, tests: TestReport) -> Object:
    """`policy test` as JSON."""
    cases: list[JSON] = [
        {"name": c.name, "file": c.file, "row": c.row, "passed": c.passed, "message": c.message, "took_us": c.took_us}
        for c in tests.cases
    ]
    uncovered: list[JSON] = [{"file": file, "row": row} for file, row in tests.uncovered]
    return {
        "revision": candidate.own.revision,
        "ok": not failures(tests),
        "cases": cases,
        "coverage": tests.coverage,
        "uncovered": uncovered,
        "slowest_us": tests.slowest_us,
        "problems": _problems(tests.problems),
    }


def _problems(problems: tuple[Problem, ...]) -> list[JSON]:
    return [
        {
            "file": p.file,
            "row": p.row,
            "column": p.column,
            "code": p.code,
            "message": p.message,
            "severity": p.severity,
        }
        for p in problems
    ]
