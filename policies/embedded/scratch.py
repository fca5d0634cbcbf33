"""The workshop's child: reads one job per line on standard input, answers in lines `[kind, value]`.

    inspect   compile, lint, try out: `at`, `problem`, `reads`, `done`
    test      run test rules: `at`, `problem`, `case`, `coverage`, `done`
    hold      load a policy, then decide what further lines ask: `ready` or `problem`; `value` or `fault` for each

`at` says what is worked on, before it is: if this process dies of it, the parent knows. Nothing here catches what a
policy may do to a process; the fence and the parent do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import BinaryIO, Final

import orjson

from policies.embedded.alike import data_fault
from policies.embedded.battery import Trial
from policies.embedded.calls import constant_patterns
from policies.embedded.fence import deadline
from policies.embedded.findings import Problem
from policies.embedded.job import Job
from policies.embedded.lints import lint, no_place, problem
from policies.embedded.parse import read_module
from policies.embedded.reads import reads
from policies.embedded.rego import RULE, Policy, RegoError, syntax_tree
from policies.embedded.testing import run_cases
from policies.embedded.tree import Module
from policies.json import JSON, as_list, as_object, as_str

_PATIENCE: Final = 4
"""A first run prepares the modules, and the odd inputs are large: so many times the time of a decision."""


def main() -> int:
    """Do the one job that standard input asks for."""
    asked = as_object(orjson.loads(sys.stdin.buffer.readline()))
    job = Job(_texts(asked.get("modules")), _texts(asked.get("tests")), as_object(asked.get("data")))
    seconds = asked.get("decision_seconds")
    if not isinstance(seconds, int | float):
        raise TypeError("decision_seconds")
    match asked.get("do"):
        case "inspect":
            _inspect(job, seconds)
        case "test":
            run_cases(job, seconds, frozenset(as_str(name) for name in as_list(asked.get("skip"))), tell)
        case "hold":
            _hold(job, seconds)
        case _:
            raise ValueError("no such job")
    tell("done", None)
    return 0


def _texts(value: JSON) -> dict[str, str]:
    return {name: as_str(text) for name, text in as_object(value).items()}


def _own_output() -> BinaryIO:
    """The pipe to the parent, for us alone: what regorus or a library prints must not look like an answer."""
    pipe = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return pipe


_output: Final = _own_output()


def tell(kind: str, value: JSON) -> None:
    """One line to the parent."""
    _output.write(orjson.dumps([kind, value]) + b"\n")
    _output.flush()


def _tell_problem(found: Problem) -> None:
    tell("problem", asdict(found))


def _inspect(job: Job, seconds: float) -> None:
    inner = [module for name, text in job.modules.items() if (module := _module(name, text)) is not None]
    outer = [module for name, text in job.tests.items() if (module := _module(name, text)) is not None]
    if len(inner) < len(job.modules):
        return  # what follows would complain about rules that stand in the file that cannot be read
    tell("at", "its rules as a whole")
    found = lint(inner, outer)
    fault = data_fault(job.data)
    if fault is not None:
        found.append(no_place("data_not_portable", fault))
    for item in found:
        _tell_problem(item)
    tell("reads", asdict(reads(inner)))
    patterns = _patterns(inner)
    for item in patterns:
        _tell_problem(item)
    if any(item.severity == "error" for item in (*found, *patterns)):
        return  # it would not get as far as that, or die of what was said already
    tell("at", "the decision")
    _try_out(inner, job, seconds)


def _module(name: str, text: str) -> Module | None:
    """The module in one file, alone: a tree is 80 times the size of its text."""
    tell("at", name)
    try:
        return read_module(name, text, syntax_tree(name, text))
    except RegoError as error:
        _tell_problem(Problem(name, error.row, error.column, "syntax_error", error.message, "error"))
    except RecursionError:
        _tell_problem(Problem(name, 1, 1, "too_deep", "its expressions are nested too deeply", "error"))
    except ValueError as error:
        _tell_problem(Problem(name, 1, 1, "unknown_syntax", str(error), "error"))
    return None


def _patterns(modules: list[Module]) -> list[Problem]:
    """Regular expressions in the text that are none."""
    found = []
    for module in modules:
        for pattern, at in (item for rule in module.rules for item in constant_patterns(rule)):
            text = orjson.dumps(pattern).decode()
            checked = Policy({"p.rego": f"package p\n\nvalid := regex.is_valid({text})\n"}, {})
            if checked.value("null", "data.p.valid") != "true":
                found.append(problem(module, at, "bad_pattern", "not a regular expression"))
    return found


def _try_out(parsed: list[Module], job: Job, seconds: float) -> None:
    entry = next(
        (module, rule.at)
        for module in parsed
        for rule in module.rules
        if f"data.{'.'.join((*module.package, *rule.path))}" == RULE
    )

    def place(code: str, message: str) -> Problem:
        return problem(*entry, code, message)

    def trying(item: Problem) -> None:
        tell("trial", asdict(item))

    trial = Trial(job, place, trying)
    for item in trial.findings(seconds * _PATIENCE):
        _tell_problem(item)


def _hold(job: Job, seconds: float) -> None:
    try:
        policy = Policy(job.modules, job.data)
        policy.warm()
    except RegoError as error:
        _tell_problem(Problem(error.file, error.row, error.column, "syntax_error", error.message, "error"))
        return
    tell("ready", None)
    while line := sys.stdin.buffer.readline():
        asked = as_object(orjson.loads(line))
        evaluate = policy.package if asked.get("rule") == "package" else policy.value
        for document in as_list(asked.get("inputs")):
            _answer(evaluate, document, seconds)


def _answer(evaluate: Callable[[str], str | None], document: JSON, seconds: float) -> None:
    try:
        with deadline(seconds):
            value = evaluate(orjson.dumps(document).decode())
    except RegoError as error:
        line: list[JSON] = ["fault", str(error)]
    else:
        line = ["fault", "the decision is undefined"] if value is None else ["value", orjson.loads(value)]
    _output.write(orjson.dumps(line) + b"\n")
    _output.flush()  # the next document may be the one that ends this process
