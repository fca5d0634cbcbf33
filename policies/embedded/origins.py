"""Where the variables of a rule get their values: for values.py, which asks what they can be.

Every way to bind a name counts, in whichever body or comprehension.
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
    Group,
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
    """One way a variable gets its value: `is` what `source` is, an `item`, a `key` or a `part` of it, or an argument.

    `inside`: a part of the argument at `position`.
    """

    how: Literal["is", "item", "key", "part", "argument", "inside", "unknown"]
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
            yield from _each(item, Origin("inside", position=position))


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
            case Statement(items=(Assign() as unified,)):
                yield from _matched(unified.left, unified.right)
                if not unified.declares:
                    yield from _matched(unified.right, unified.left)
            case _:
                pass


def _members(patterns: Iterable[Expr], collection: Expr) -> Iterator[tuple[str, Origin]]:
    *keys, value = patterns
    for how, pattern in (*(("key", key) for key in keys), ("item", value)):
        if isinstance(pattern, Var):
            yield pattern.name, Origin("key" if how == "key" else "item", collection)
        else:
            yield from _each(pattern, Origin("part", collection))


def _matched(pattern: Expr, source: Expr) -> Iterator[tuple[str, Origin]]:
    if isinstance(pattern, Var):
        yield pattern.name, Origin("is", source)
    elif isinstance(pattern, Group):
        for item in pattern.items:
            direct = isinstance(item, Var) and pattern.kind == "array"
            yield from _each(item, Origin("item" if direct else "part", source))


def _elsewhere(rule: Rule) -> Iterator[tuple[str, Origin]]:
    """Names that an index (`xs[i]`) or a builtin's last argument (`walk(x, [path, value])`) may bind."""
    for expression in inside_rule(rule):
        if isinstance(expression, Ref):
            for place, step in enumerate(expression.steps):
                before = Ref(expression.base, expression.steps[:place], expression.at) if place else expression.base
                yield from _each(step, Origin("key", before) if isinstance(step, Var) else Origin("unknown"))
        elif isinstance(expression, Call) and expression.name in OUTPUTS:
            for item in expression.arguments[ARGUMENTS[expression.name] :]:
                yield from _each(item, Origin("part", expression.arguments[0]))


def _each(pattern: Expr, origin: Origin) -> Iterator[tuple[str, Origin]]:
    for part in inside(pattern):
        if isinstance(part, Var):
            yield part.name, origin
