"""Builtins that may fail: OPA skips lines that cannot matter any more, this engine runs them, and fails.

OPA's index leaves out rules that cannot hold, and it stops at the first body of a rule that does. So a builtin must not
get what it takes for an error: no claim that may be of another kind (a line `is_string(x)` before it in the same body
says that it is not), no divisor that may be 0. Data is the operator's own: what kinds it holds is left to him.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from policies.embedded.calls import Finding
from policies.embedded.kinds import ITEMS, WANTED
from policies.embedded.tree import Call, Compr, Const, Expr, Op, Query, Ref, Rule, Statement, Var, parts
from policies.embedded.values import Scope, Values

_Known: TypeAlias = Mapping[object, str]
_TESTS: Final = MappingProxyType(
    {
        "is_array": "array",
        "is_number": "number",
        "is_object": "object",
        "is_string": "text",
    }
)
_TEST_OF: Final = MappingProxyType({kind: name for name, kind in _TESTS.items()})
_SET: Final = frozenset({"set"})


def unguarded(scope: Scope, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    yield from _Guards(scope, values).rule(scope.rule)


class _Guards:
    def __init__(self, scope: Scope, values: Values) -> None:
        self._scope = scope
        self._values = values

    def rule(self, rule: Rule) -> Iterator[Finding]:
        head = [item for item in (*rule.steps, rule.key, rule.value) if item is not None]
        if all(body.is_else for body in rule.bodies):
            yield from self._all(head, {})
        for body in rule.bodies:
            known: dict[object, str] = {}
            yield from self._query(body.query, known)
            yield from self._all([body.value] if body.value is not None else [], known)
            yield from self._all([] if body.is_else else head, known)

    def _query(self, query: Query, known: dict[object, str]) -> Iterator[Finding]:
        """Findings of the lines of a body; what they make sure of is added to `known`."""
        for statement in query:
            yield from self._all(statement.items, known)
            yield from self._all([value for _, value in statement.replaced], known)
            yield from self._query(statement.query, dict(known))
            known |= _made_sure(statement)

    def _all(self, expressions: list[Expr] | tuple[Expr, ...], known: _Known) -> Iterator[Finding]:
        for expression in expressions:
            inner = dict(known)
            if isinstance(expression, Compr):
                yield from self._query(expression.query, inner)
            yield from self._all(parts(expression), inner)
            match expression:
                case Call():
                    yield from self._call(expression, known)
                case Op(kind="BinExpr", items=items):
                    for item in items:
                        yield from self._unless(item, _SET, "a set operation", known)
                case Op(kind="ArithExpr", operator="Div" | "Mod", items=(_, divisor)) if self._may_be_zero(divisor):
                    yield (
                        divisor.at,
                        "may_fail",
                        "what is divided by may be 0: divide by a constant, or by max([1, ...])",
                    )
                case _:
                    pass

    def _call(self, call: Call, known: _Known) -> Iterator[Finding]:
        if self._values.is_function(self._scope, call.name):
            return
        for item, wanted in zip(call.arguments, WANTED.get(call.name, ()), strict=False):
            yield from self._unless(item, wanted, call.name, known)
        place, wanted = ITEMS.get(call.name, (len(call.arguments), _SET))
        if place < len(call.arguments):
            collection = call.arguments[place]
            held = self._values.items(self._scope, collection)
            one = not self._values.of(self._scope, collection).is_only(frozenset({"text"}))
            if one and not held.is_only(wanted):
                yield collection.at, "may_fail", _message(f"the items of {call.name}", wanted)

    def _unless(self, item: Expr, wanted: frozenset[str], where: str, known: _Known) -> Iterator[Finding]:
        if known.get(_key(item)) not in wanted and not self._values.of(self._scope, item).is_only(wanted):
            yield item.at, "may_fail", _message(where, wanted)

    def _may_be_zero(self, divisor: Expr) -> bool:
        found = self._values.of(self._scope, divisor).counted
        return found is None or found[0] <= 0 <= found[1]


def _message(where: str, wanted: frozenset[str]) -> str:
    tests = " or ".join(sorted(f"{_TEST_OF[kind]}(x)" for kind in wanted if kind in _TEST_OF))
    advice = f": write {tests} in a line of the same body before" if tests else ""
    return f"{where} fails for anything but {' or '.join(sorted(wanted))}, which a caller may send{advice}"


def _made_sure(statement: Statement) -> dict[object, str]:
    match statement:
        case Statement(kind="is", items=(Call(name=name, arguments=(item,)),), replaced=()) if name in _TESTS:
            key = _key(item)
            return {} if key is None else {key: _TESTS[name]}
        case _:
            return {}


def _key(expression: Expr) -> object:
    """Equal for references to one thing; None for what is no such reference."""
    if isinstance(expression, Var):
        return None if expression.name == "_" else (expression.name,)
    if not isinstance(expression, Ref) or not isinstance(expression.base, Var):
        return None
    found: list[object] = [expression.base.name]
    for step in expression.steps:
        match step:
            case Const(value=str() | int() as value):
                found.append(value)
            case Var(name=name) if name != "_":
                found.append((name,))
            case _:
                return None
    return tuple(found)
