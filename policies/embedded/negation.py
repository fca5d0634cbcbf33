"""What is undefined in part, where the engines part over it: below `not`, and where `in` is used as a value.

OPA takes the parts of an operand out of the `not` and evaluates them before: if one is undefined, so is the line, and
the body fails. regorus makes the whole operand undefined, and `not` of that true. `not input.caller.claims.dept in
{"guest"}` is a yes to everybody without a department in the one, a no in the other. So an operand is either one plain
reference, compared for equality at most, or made of parts that are always there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.bundle import DATA_ROOT
from policies.embedded.calls import Finding
from policies.embedded.known import has_open_keys, kind_at
from policies.embedded.origins import queries
from policies.embedded.portable import ARGUMENTS, OUTPUTS
from policies.embedded.reads import input_path
from policies.embedded.scope import declares, variables
from policies.embedded.tree import (
    Assign,
    Call,
    Compr,
    Const,
    Expr,
    Group,
    Op,
    Query,
    Ref,
    Rule,
    Var,
    inside,
    inside_rule,
    words,
)
from policies.embedded.values import Scope, Values

_MAY_BE_NOTHING: Final = OUTPUTS | {"max", "min"}
_BELOW_NOT: Final = (
    "part of what stands below not may be undefined, which the engines answer differently: give it a name in a line "
    'before (x := ...), or a default with object.get(..., "...", ...)'
)
_IN_VALUE: Final = (
    "in as a value, of what may be undefined: undefined to OPA, false to this engine. Make it a line of a body, or "
    "give its parts names in lines before (x := ...)"
)


def undefined_parts(scope: Scope, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    statements = [statement for query in queries(scope.rule) for statement in query]
    lines = {id(statement.items[0]) for statement in statements if statement.kind in {"is", "not"}}
    for statement in statements:
        if statement.kind == "not" and not _sound(scope, statement.items[0], values):
            yield statement.items[0].at, "undefined_below_not", _BELOW_NOT
    for query in queries(scope.rule):
        yield from _too_early(scope, query, values)
    for expression in inside_rule(scope.rule):
        match expression:
            case Op(kind="Membership", items=items) if id(expression) not in lines:
                if not all(always(scope, item, values) for item in items):
                    yield expression.at, "in_as_value", _IN_VALUE
            case _:
                pass


def _too_early(scope: Scope, query: Query, values: Values) -> Iterator[Finding]:
    """Variables below `not` that get their values in a later line: OPA sorts the lines, this engine does not."""
    own = {var.name for var in declares(query)}
    seen: set[str] = set()
    for statement in query:
        names = {word for item in statement.items for part in inside(item) for word in words(part)[:1]}
        if statement.kind == "not":
            outer = {var.name for item in statement.items for var in variables(item)}
            for name in sorted(outer - seen):
                if name in own or any(origin.how == "key" for origin in values.bindings(scope, name)):
                    yield statement.at, "used_too_early", f"{name} gets its value in a later line: put that line before"
        seen |= names


def _sound(scope: Scope, operand: Expr, values: Values) -> bool:
    match operand:
        case Op(kind="BoolExpr", operator="Eq", items=sides):
            return all(_plain(scope, side, values) or always(scope, side, values) for side in sides)
        case Assign(left=left, right=right, declares=False):
            return all(_plain(scope, side, values) or always(scope, side, values) for side in (left, right))
        case Call(name=name, arguments=arguments) if name not in OUTPUTS:
            return all(always(scope, item, values) for item in arguments)
        case _:
            return _plain(scope, operand, values) or always(scope, operand, values)


def _plain(scope: Scope, expression: Expr, values: Values) -> bool:
    """Whether it is a reference whose steps are all constants or variables that have a value."""
    if isinstance(expression, Var):
        return True
    if not isinstance(expression, Ref) or not isinstance(expression.base, Var):
        return False
    return all(
        isinstance(step, Const) or (isinstance(step, Var) and always(scope, step, values)) for step in expression.steps
    )


def always(scope: Scope, expression: Expr, values: Values, seen: frozenset[int] = frozenset()) -> bool:
    """Whether `expression` has a value, whatever input and data are."""
    match expression:
        case Const() | Compr():
            return True
        case Var(name=name) if values.binds(scope, name):
            return True
        case Var() | Ref():
            return _stands(scope, expression, values, seen)
        case Group(items=held) | Op(items=held):
            return all(always(scope, item, values, seen) for item in held)
        case Call(name=name, arguments=arguments):
            known = name in ARGUMENTS and name not in _MAY_BE_NOTHING and not values.is_function(scope, name)
            return known and all(always(scope, item, values, seen) for item in arguments)
        case Assign():
            return False


def _stands(scope: Scope, expression: Var | Ref, values: Values, seen: frozenset[int]) -> bool:
    """Of a reference: whether it is a field of every input, the whole of data, or a rule that always has a value."""
    path, steps = input_path(expression), expression.steps if isinstance(expression, Ref) else ()
    if path is not None:
        whole = len(steps) == len(path) and not (has_open_keys(path) and len(path) > _CLAIMS)
        return whole and kind_at(path) is not None and not values.blind
    if words(expression) == ("data", DATA_ROOT) and len(steps) == 1:
        return not values.blind
    return any(_settled(each, values, seen) for each in values.definitions(scope, expression) or ())


_CLAIMS: Final = 2  # words in caller.claims, which is always there


def _settled(scope: Scope, values: Values, seen: frozenset[int]) -> bool:
    """Whether this definition alone gives the rule a value, always."""
    rule = scope.rule
    if id(rule) in seen:
        return False
    if rule.kind in {"default", "set"} or any(not isinstance(step, Const) for step in rule.steps):
        return True
    return _has_end(rule) and all(
        always(scope, value, values, seen | {id(rule)})
        for value in (rule.value, *(body.value for body in rule.bodies))
        if value is not None
    )


def _has_end(rule: Rule) -> bool:
    """Whether it has no condition, or an `else` without one."""
    return all(body.is_else for body in rule.bodies) or any(not body.query for body in rule.bodies)
