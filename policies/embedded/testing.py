"""Runs `test_*` rules, as `opa test` does, with coverage of the modules. In the scratch child.

Each test is evaluated twice: for its time alone, and for coverage. A test passes if its value is `true`. One named
`todo_test_*` is not run and does not pass. Coverage is told after every test, so that a later one that ends the process
does not take it along.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Final, TypeAlias

import orjson

from policies.embedded.fence import deadline
from policies.embedded.findings import CaseResult, Problem
from policies.embedded.job import Job
from policies.embedded.parse import read_module
from policies.embedded.rego import Policy, RegoError, syntax_tree
from policies.embedded.tree import Module, Rule
from policies.json import JSON, Object, as_list

_TEST: Final = "test_"
_TODO: Final = "todo_test_"
_PATIENCE: Final = 8
"""Counting lines slows an evaluation down, and a first one prepares all modules."""

Tell: TypeAlias = Callable[[str, JSON], None]


def run_cases(job: Job, seconds: float, skip: frozenset[str], tell: Tell) -> None:
    """Run every test whose name is not in `skip`. A test that takes longer than `seconds` ends the process."""
    modules, tests = job.modules, job.tests
    loaded = _load({**modules, **tests}, job.data, tell)
    if loaded is None:
        return
    plain, counting = loaded
    seen = _tell_coverage(counting, modules, tell, -1)
    for module, rule in _cases(tests):
        name = ".".join((*module.package, rule.name))
        if name in skip:
            continue
        row, _ = module.place(rule.at)
        tell("at", [name, module.file, row])
        passed, message, took = _run(plain, counting, f"data.{name}", seconds)
        tell("case", asdict(CaseResult(name, module.file, row, passed, message, took)))
        seen = _tell_coverage(counting, modules, tell, seen)


def _load(texts: Mapping[str, str], data: Object, tell: Tell) -> tuple[Policy, Policy] | None:
    try:
        for name, text in texts.items():
            tell("at", ["", name, 0])
            Policy({name: text}, {})
        policies = Policy(texts, data), Policy(texts, data, coverage=True)
    except RegoError as error:
        problem = Problem(error.file, error.row, error.column, "syntax_error", error.message, "error")
        tell("problem", asdict(problem))
        return None
    for policy in policies:
        policy.warm()
    return policies


def _cases(tests: Mapping[str, str]) -> Iterator[tuple[Module, Rule]]:
    """The test rules in the order of their files; one rule of each name, since a name is evaluated as a whole."""
    seen: set[str] = set()
    for file, text in sorted(tests.items()):
        module = read_module(file, text, syntax_tree(file, text))
        for rule in module.rules:
            name = ".".join((*module.package, rule.name))
            if rule.name.startswith((_TEST, _TODO)) and name not in seen:
                seen.add(name)
                yield module, rule


def _run(plain: Policy, counting: Policy, rule: str, seconds: float) -> tuple[bool, str, int]:
    """(passed, why not, microseconds)"""
    if rule.rpartition(".")[2].startswith(_TODO):
        return False, "to do: not run", 0
    started = time.perf_counter_ns()
    try:
        with deadline(seconds):
            value = plain.value("{}", rule)
    except RegoError as error:
        return False, _with_prints(f"cannot be evaluated: {error}", plain), _micros(started)
    took = _micros(started)
    with deadline(seconds * _PATIENCE):
        counting.value("{}", rule)
    if value == "true":
        return True, "", took
    reason = "it is undefined" if value is None else f"its value is {_short(value)}, not true"
    return False, _with_prints(reason, plain), took


def _micros(started: int) -> int:
    return (time.perf_counter_ns() - started) // 1_000


def _short(value: str) -> str:
    return orjson.dumps(orjson.loads(value)).decode(errors="replace")[:200]


def _with_prints(reason: str, policy: Policy) -> str:
    return "; ".join((reason, *(f"printed {line}" for line in policy.prints[:10])))[:2_000]


def _tell_coverage(policy: Policy, modules: Mapping[str, str], tell: Tell, before: int) -> int:
    """Tell [rows that ran, rows that did not], each [file, row], if more ran than `before`; how many ran."""
    told: list[JSON] = []
    for rows in policy.coverage():
        pairs: list[JSON] = [[file, row] for file, row in sorted(rows) if file in modules]
        told.append(pairs)
    count = len(as_list(told[0]))
    if count > before:
        tell("coverage", told)
    return count
