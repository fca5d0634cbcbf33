"""What a policy must not be, though it parses: each finding with a stable code, a row and a column.

Pure: from typed trees to problems. What the text alone does not show is found by running it (battery.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from policies.bundle import DATA_ROOT, ENTRY, ROOTS
from policies.embedded.agreement import disagreements
from policies.embedded.calls import Finding, check_calls
from policies.embedded.duties import unknown_obligations
from policies.embedded.findings import Problem
from policies.embedded.graph import Names, cycles, local_names, unread
from policies.embedded.guards import unguarded
from policies.embedded.kinds import wrong_kinds
from policies.embedded.known import is_known
from policies.embedded.negation import undefined_parts
from policies.embedded.order import unlike_orders
from policies.embedded.patterns import unlike_patterns
from policies.embedded.reads import input_path
from policies.embedded.scope import loose_variables
from policies.embedded.shapes import unlike_shapes
from policies.embedded.tree import Expr, Module, Ref, Rule, Var, inside_rule, words
from policies.embedded.values import Scope, Values

_ENTRY: Final = tuple(ENTRY.split("/"))
_PACKAGE: Final = _ENTRY[:-1]
_POLICY_ROOT: Final = ROOTS[0]
_WARNINGS: Final = frozenset({"reads_clock", "never_read"})


def lint(modules: Sequence[Module], tests: Sequence[Module]) -> list[Problem]:
    """All findings. Of `tests` only the names are looked at: they run here, and nowhere else."""
    names, everything = Names(modules), Names([*modules, *tests])
    values = Values(modules, names)
    problems = [
        problem(module, *finding)
        for module in modules
        for finding in chain(
            _package(module),
            _loose(module, everything),
            *(chain(_rule(module, rule, names), _portable(Scope(module, rule), values)) for rule in module.rules),
        )
    ]
    problems += [problem(module, *finding) for module in tests for finding in _loose(module, everything)]
    problems += _definitions(names)
    problems += [
        problem(module, rule.at, "recursive", f"{'.'.join(rule.path)} depends on itself")
        for module, rule in cycles(names)
    ]
    problems += [problem(*finding) for finding in unknown_obligations(modules)]
    if _ENTRY in names.rules:
        problems += [problem(module, rule.at, "never_read", _unread(rule)) for module, rule in unread(names, _ENTRY)]
    else:
        problems.append(no_place("no_entry_point", f"no rule data.{'.'.join(_ENTRY)}: nothing would be decided"))
    return problems


def _portable(scope: Scope, values: Values) -> Iterator[Finding]:
    """Where the two engines may part."""
    yield from disagreements(scope.module, scope.rule, values)
    yield from undefined_parts(scope, values)
    yield from unlike_patterns(scope, values)
    yield from unlike_orders(scope, values)
    yield from unlike_shapes(scope, values)
    yield from unguarded(scope, values)


def problem(module: Module, at: int, code: str, message: str) -> Problem:
    """A finding at byte offset `at` of `module`."""
    row, column = module.place(at)
    return Problem(module.file, row, column, code, message, "warning" if code in _WARNINGS else "error")


def no_place(code: str, message: str) -> Problem:
    """An error that is about no line in particular."""
    return Problem("", 0, 0, code, message, "error")


def _unread(rule: Rule) -> str:
    return f"{'.'.join(rule.path)} takes no part in the decision: nothing that it depends on reads this rule"


def _package(module: Module) -> Iterator[Finding]:
    if module.package[0] != _POLICY_ROOT:
        yield module.package_at, "package_outside", f"the package must be {_POLICY_ROOT} or below it"


def _loose(module: Module, names: Names) -> Iterator[Finding]:
    for loose in loose_variables(module, names.of_package(module.package)):
        if loose.twice:
            yield loose.at, "declared_twice", f"{loose.name} is declared already"
        elif loose.unused:
            yield loose.at, "unused_variable", f"{loose.name} is declared for nothing, which OPA refuses: write _"
        elif loose.name == "_":
            yield (
                loose.at,
                "unsafe_variable",
                "_ below not: no item is meant. Bind one in a line before (some x in ...)",
            )
        else:
            yield loose.at, "unsafe_variable", f"{loose.name}: no such rule, and nothing here gives it a value"


def _rule(module: Module, rule: Rule, names: Names) -> Iterator[Finding]:
    yield from check_calls(module, rule, names)
    local = local_names(rule)
    for expression in inside_rule(rule):
        for at, wrong in wrong_kinds(expression):
            yield at, "wrong_kind", wrong
        if isinstance(expression, Ref | Var):
            yield from _reference(module, expression, local, names)


def _reference(module: Module, expression: Expr, local: frozenset[str], names: Names) -> Iterator[Finding]:
    path = input_path(expression)
    if path is not None:
        if not is_known(path):
            yield expression.at, "unknown_input", f"input.{'.'.join(path)} is never there: reading it is undefined"
        return
    named = words(expression)
    full = names.full(module, named) if named and named[0] not in local else None
    if full is None:
        return
    whole = isinstance(expression, Ref) and len(named) <= len(expression.steps)
    if full[:1] == (DATA_ROOT,):
        return
    if not full or full in (_PACKAGE[:1], _PACKAGE) or (full == module.package[: len(full)]):
        what = ".".join(("data", *full)) + ("[...]" if whole else "")
        yield expression.at, "own_package", f"{what} holds the rule that reads it: put data below data.{DATA_ROOT}"
    elif full[0] != _POLICY_ROOT:
        yield expression.at, "foreign_data", f"data.{full[0]} is never there: data stands below data.{DATA_ROOT}"
    elif not names.defined(full):
        yield expression.at, "unknown_rule", f"data.{'.'.join(full)} is no rule of this policy"


def _definitions(names: Names) -> Iterator[Problem]:
    """What is wrong with how often, and as what, a rule is defined."""
    for path, found in names.rules.items():
        defaults = [(module, rule) for module, rule in found if rule.kind == "default"]
        others = [(module, rule) for module, rule in found if rule.kind != "default"]
        for module, rule in defaults[1:]:
            yield problem(module, rule.at, "two_defaults", f"{path[-1]} has a default already")
        if path == (*_PACKAGE, "allow") and not _denies(defaults):
            module, rule = found[0]
            yield problem(module, rule.at, "missing_default", "write `default allow := false`: undefined is no answer")
        if defaults and any(rule.kind == "set" for _, rule in others):
            module, rule = defaults[0]
            yield problem(module, rule.at, "conflicting_rules", f"{path[-1]} is a set: it needs no default")
        kinds = {(rule.kind, len(rule.arguments)) for _, rule in others}
        if len(kinds) > 1:
            module, rule = others[-1]
            yield problem(module, rule.at, "conflicting_rules", f"{path[-1]} is defined as different kinds of rule")


def _denies(defaults: list[tuple[Module, Rule]]) -> bool:
    return all(getattr(rule.value, "value", None) is False for _, rule in defaults) and bool(defaults)
