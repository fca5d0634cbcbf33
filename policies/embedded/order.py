"""Order: OPA puts sets behind objects, this engine before them, so what is sorted must not hold both.

Sorted are the items of a set, the keys of an object, what `sort`, `max` and `min` get, and what `<` and `>` compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.embedded.calls import Finding
from policies.embedded.lattice import Value
from policies.embedded.tree import Call, Compr, Const, Group, Op, Var, inside_rule
from policies.embedded.values import Scope, Values

_SET: Final = frozenset({"set"})
_ORDER: Final = (
    "what may be or hold a set, in a set, as a key, or compared: the engines put sets before and behind other values. "
    "Make arrays of sets with sort(...), or only sets without sets in them"
)
_SORTING: Final = frozenset({"sort", "max", "min"})
_JOINING: Final = frozenset({"union", "intersection"})
_EQUALITIES: Final = frozenset({"Eq", "Ne"})
_SCALARS: Final = frozenset({"boolean", "null", "number", "text"})


def unlike_orders(scope: Scope, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    yield from _head(scope, values)
    for expression in inside_rule(scope.rule):
        match expression:
            case Op(kind="BoolExpr", operator=sign, items=(left, right)) if sign not in _EQUALITIES:
                yield from _compared(expression.at, values.of(scope, left), values.of(scope, right))
            case Group(kind="array", items=items):
                yield from _order(expression.at, [values.of(scope, item) for item in items])
            case Compr(kind="array", terms=(term,)):
                yield from _order(expression.at, [values.of(scope, term)])
            case Group(items=items):
                keys = items if expression.kind == "set" else items[::2]
                yield from _sorted(expression.at, [values.of(scope, item) for item in keys])
            case Compr(terms=(term, *_)):
                yield from _sorted(expression.at, [values.of(scope, term)])
            case Op(kind="BinExpr"):
                yield from _sorted(expression.at, [values.items(scope, expression)])
            case Call(name=name, arguments=(first, *_)) if name in _SORTING:
                yield from _sorted(expression.at, [values.items(scope, first)])
            case Call(name=name, arguments=(first, *_)) if name in _JOINING and values.items(scope, first).nesting > 1:
                yield expression.at, "order_not_portable", _ORDER
            case _:
                pass


def _head(scope: Scope, values: Values) -> Iterator[Finding]:
    rule = scope.rule
    if rule.kind == "set" and rule.key is not None:
        definitions = values.definitions(scope, Var(rule.name, rule.at)) or [scope]
        yield from _sorted(rule.key.at, [values.of(each, each.rule.key) for each in definitions if each.rule.key])
    elif rule.kind == "value" and rule.steps and not isinstance(rule.steps[-1], Const):
        yield from _sorted(rule.steps[-1].at, [values.of(scope, rule.steps[-1])])


def _sorted(at: int, items: list[Value]) -> Iterator[Finding]:
    """What the engines put into an order: nothing that holds a set, or sets alone, without sets in them."""
    deepest = max((item.nesting for item in items), default=0)
    if deepest > 1 or (deepest == 1 and any(item.kinds != _SET for item in items)):
        yield at, "order_not_portable", _ORDER


def _compared(at: int, left: Value, right: Value) -> Iterator[Finding]:
    simple = any(value.kinds is not None and value.kinds <= _SCALARS for value in (left, right))
    if not simple:
        yield from _sorted(at, [left, right])


def _order(at: int, items: list[Value]) -> Iterator[Finding]:
    """Sets sort before objects in this engine, behind them in OPA; what holds both has another order in each."""
    known = [item.kinds for item in items if item.kinds is not None]
    if not any("set" in kinds for kinds in known) or (
        len(known) == len(items) and all(kinds == _SET for kinds in known)
    ):
        return
    yield at, "order_not_portable", _ORDER
