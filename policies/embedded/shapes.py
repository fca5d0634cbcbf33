"""Forms of Rego that this engine reads in its own way: patterns, loops over what is no collection, nested heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.embedded.calls import Finding
from policies.embedded.origins import queries
from policies.embedded.portable import OUTPUTS
from policies.embedded.tree import Assign, Call, Const, Expr, Group, Ref, Statement, inside, inside_rule
from policies.embedded.values import Scope, Values

_COLLECTIONS: Final = frozenset({"array", "set", "object"})
_PATTERN: Final = (
    "an object or a set with variables as a pattern: this engine leaves keys out of account. Give the whole a name "
    "(x := ...) and read x.field"
)
_DOMAIN: Final = (
    "a loop over what a caller may have sent as something else than a list is an error here and nothing in OPA: "
    "take the items with x := ...[_]"
)
_HEAD: Final = (
    "a variable before the last step of a rule's name: this engine gives another value if there are none. "
    "Write name[key] := {... | ...}"
)


def unlike_shapes(scope: Scope, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    rule = scope.rule
    before = rule.steps if rule.kind == "set" else rule.steps[:-1]
    yield from ((step.at, "nested_head", _HEAD) for step in before if not isinstance(step, Const))
    for pattern in _patterns(scope):
        for part in inside(pattern):
            if isinstance(part, Group) and part.kind != "array" and not _constant(part):
                yield part.at, "object_pattern", _PATTERN
    for query in queries(rule):
        for statement in query:
            domain = _domain(statement)
            if domain is not None and not values.of(scope, domain).is_only(_COLLECTIONS):
                yield domain.at, "not_a_collection", _DOMAIN
            elif isinstance(domain, Group) and not domain.items:
                yield domain.at, "not_a_collection", "a loop over nothing: OPA refuses it"


def _domain(statement: Statement) -> Expr | None:
    return statement.items[-1] if statement.kind in {"some", "every"} and statement.items else None


def _patterns(scope: Scope) -> Iterator[Expr]:
    yield from scope.rule.arguments
    for query in queries(scope.rule):
        for statement in query:
            if statement.kind == "some":
                yield from statement.items[:-1]
    for expression in inside_rule(scope.rule):
        match expression:
            case Assign(left=left, right=right, declares=declares):
                yield from (left,) if declares else (left, right)
            case Ref(steps=steps):
                yield from (step for step in steps if isinstance(step, Group))
            case Call(name=name, arguments=arguments) if name in OUTPUTS:
                yield from arguments[1:]
            case _:
                pass


def _constant(group: Group) -> bool:
    return all(isinstance(part, Const | Group) for part in inside(group))
