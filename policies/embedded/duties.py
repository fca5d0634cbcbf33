"""Obligations that no gateway knows, as far as the text tells: each would turn every yes into a no."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

from policies.bundle import ENTRY
from policies.embedded.tree import Const, Expr, Group, Module, Rule, inside_rule
from policies.obligations import NAMES

_PACKAGE: Final = tuple(ENTRY.split("/")[:-1])
_OBLIGATIONS: Final = "obligations"


def unknown_obligations(modules: Sequence[Module]) -> Iterator[tuple[Module, int, str, str]]:
    """(module, where, code, message) of each name that is none and stands there as a constant.

    In `obligations["x"] := ...`, `obligations := {"x": ...}`, and in an object as `"obligations": {"x": ...}`.
    """
    for module in modules:
        for rule in module.rules if module.package == _PACKAGE else ():
            for name in _names(rule):
                if isinstance(name.value, str) and name.value not in NAMES:
                    meant = get_close_matches(name.value, NAMES, n=1)
                    advice = f"did you mean {meant[0]}?" if meant else "known are " + ", ".join(sorted(NAMES))
                    yield module, name.at, "unknown_obligation", f"no obligation is called {name.value}: {advice}"


def _names(rule: Rule) -> Iterator[Const]:
    if rule.name == _OBLIGATIONS:
        yield from (step for step in rule.steps[:1] if isinstance(step, Const))
        for value in (rule.value, *(body.value for body in rule.bodies)):
            yield from _keys(value)
    for expression in inside_rule(rule):
        if isinstance(expression, Group) and expression.kind == "object":
            for key, value in _pairs(expression):
                if isinstance(key, Const) and key.value == _OBLIGATIONS:
                    yield from _keys(value)


def _keys(value: Expr | None) -> Iterator[Const]:
    if isinstance(value, Group) and value.kind == "object":
        yield from (key for key, _ in _pairs(value) if isinstance(key, Const))


def _pairs(group: Group) -> Iterator[tuple[Expr, Expr]]:
    return zip(group.items[::2], group.items[1::2], strict=True)
