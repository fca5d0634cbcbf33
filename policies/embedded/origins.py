"""Where the variables of a rule get their values: for values.py, which asks what they can be.

Every way to bind a name counts, in whichever body or comprehension; one that is more than a plain name (a pattern, an
index, a unification) is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from policies.embedded.portable import ARGUMENTS, OUTPUTS
from policies.embedded.tree import (
    Assign,
    Call,
    Compr,
    Expr,
    Query,
    Ref,
    Rule,
    Statement,
    Var,
    inside,
    inside_rule,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """One way a variable gets its value: `is` what `source` is, an `item` or a `key` of it, or an argument."""

    how: Literal["is", "item", "key", "argument", "unknown"]
    source: Expr | None = None
    position: int = 0


def origins(rule: Rule) -> dict[str, list[Origin]]:
    """Of every variable that `rule` binds anywhere."""
    found: dict[str, list[Origin]] = {}
    for name, origin in chain(_arguments(rule), *map(_bound, queries(rule)), _elsewhere(rule)):
        found.setdefault(name, []).append(origin)
    return found


def _arguments(rule: Rule) -> Iterator[tuple[str, Origin]]:
    for position, item in enumerate(rule.arguments):
        if isinstance(item, Var):
            yield item.name, Origin("argument", position=position)
        else:
            yield from _unknown(item)


def queries(rule: Rule) -> Iterator[Query]:
    """Every query in `rule`: of its bodies, of comprehensions, of `every`."""
    waiting = [body.query for body in rule.bodies]
    waiting += [item.query for item in inside_rule(rule) if isinstance(item, Compr)]
    while waiting:
        query = waiting.pop()
        waiting += [statement.query for statement in query if statement.kind == "every"]
        yield query


def _bound(query: Query) -> Iterator[tuple[str, Origin]]:
    for statement in query:
        match statement:
            case Statement(kind="some", items=(*patterns, collection)):
                yield from _members(patterns, collection)
            case Statement(kind="every", items=(domain,), declared=names):
                yield from _members(names, domain)
            case Statement(items=(Assign(left=Var(name=name), right=right, declares=True),)):
                yield name, Origin("is", right)
            case Statement(items=(Assign() as unified,)):
                yield from _unknown(unified.left)
                if not unified.declares:
                    yield from _unknown(unified.right)
            case _:
                pass


def _members(patterns: Iterable[Expr], collection: Expr) -> Iterator[tuple[str, Origin]]:
    *keys, value = patterns
    for how, pattern in (*(("key", key) for key in keys), ("item", value)):
        if isinstance(pattern, Var):
            yield pattern.name, Origin("key" if how == "key" else "item", collection)
        else:
            yield from _unknown(pattern)


def _elsewhere(rule: Rule) -> Iterator[tuple[str, Origin]]:
    """Names that an index (`xs[i]`) or a builtin's last argument (`walk(x, [path, value])`) may bind."""
    for expression in inside_rule(rule):
        if isinstance(expression, Ref):
            for step in expression.steps:
                yield from _unknown(step)
        elif isinstance(expression, Call) and expression.name in OUTPUTS:
            for item in expression.arguments[ARGUMENTS[expression.name] :]:
                yield from _unknown(item)


def _unknown(pattern: Expr) -> Iterator[tuple[str, Origin]]:
    for part in inside(pattern):
        if isinstance(part, Var):
            yield part.name, Origin("unknown")
