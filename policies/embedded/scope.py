"""Names that mean nothing and variables that nothing binds: regorus finds them only when it comes by.

A misspelt variable under `not` is the classic hole: `not gruop_ok` would be true for everybody. OPA refuses the text;
so do we, by the same rule (Rego's safety): every variable that an expression needs has to be bound by some expression
of the same body that is not negated, in whatever order they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from policies.embedded.portable import ARGUMENTS, OUTPUTS
from policies.embedded.tree import (
    Assign,
    Call,
    Compr,
    Expr,
    Group,
    Module,
    Query,
    Ref,
    Rule,
    Statement,
    Var,
    inside_query,
    inside_rule,
    parts,
    words,
)

_ROOTS: Final = frozenset({"input", "data"})
_WILDCARD: Final = "_"


@dataclass(frozen=True, slots=True)
class Loose:
    """A variable that nothing binds, or one that is declared again (`twice`), or for nothing (`unused`)."""

    name: str
    at: int
    twice: bool = False
    unused: bool = False


def loose_variables(module: Module, rules: frozenset[str]) -> list[Loose]:
    """Every loose variable of `module`; `rules` are the names that its package defines, in whichever file."""
    known = rules | _ROOTS | {item.name for item in module.imports}
    found = {loose for rule in module.rules for loose in _rule(rule, known)}
    return sorted(found, key=lambda loose: (loose.at, loose.name))


def _rule(rule: Rule, known: frozenset[str]) -> Iterator[Loose]:
    arguments = {var.name for item in rule.arguments for var in variables(item)}
    # Only names that occur here: a policy has many rules, and these sets are copied for every body.
    outside = (known & _mentioned(rule)) | arguments
    taken: set[str] = set()
    for var in (var for item in rule.arguments for var in variables(item)):
        if var.name in taken | _ROOTS and not _any(var):
            yield Loose(var.name, var.at, twice=True)
        taken.add(var.name)
    head = [item for item in (*rule.steps, rule.key, rule.value) if item is not None]
    if all(body.is_else for body in rule.bodies):
        yield from _check(head, outside)
    for body in rule.bodies:
        yield from (Loose(var.name, var.at, twice=True) for var in declares(body.query) if var.name in arguments)
        inner = _closure(body.query, outside)
        yield from _check_query(body.query, inner)
        yield from _check(head if not body.is_else else [], inner)
        yield from _check([body.value] if body.value is not None else [], inner)


def _mentioned(rule: Rule) -> frozenset[str]:
    return frozenset(word for item in inside_rule(rule) for word in words(item)[:1])


def _closure(query: Query, outside: frozenset[str]) -> frozenset[str]:
    """All names that are bound in `query`, whichever of its statements binds them."""
    bound = outside - {var.name for var in declares(query)}
    while True:
        more = bound.union(*(_binds_statement(statement, bound) for statement in query))
        if more == bound:
            return bound
        bound = more


def declares(query: Query) -> Iterator[Var]:
    """The variables that `query` declares as its own: they hide what has the same name outside."""
    for statement in query:
        if statement.kind == "some":
            yield from statement.declared
            for item in statement.items[:-1]:
                yield from _pattern(item)
        elif statement.kind == "is" and isinstance(statement.items[0], Assign) and statement.items[0].declares:
            yield from _pattern(statement.items[0].left)


def _binds_statement(statement: Statement, bound: frozenset[str]) -> set[str]:
    match statement.kind:
        case "is":
            return _binds(statement.items[0], bound)
        case "some" if statement.items:
            *patterns, collection = statement.items
            names = _binds(collection, bound)
            if _bound(collection, bound | names):
                names |= {var.name for pattern in patterns for var in _pattern(pattern)}
            return names
        case _:
            return set()


def _binds(expression: Expr, bound: frozenset[str]) -> set[str]:
    """The names that `expression` binds once those in `bound` are."""
    match expression:
        case Ref(base=base, steps=steps):
            names = set().union(*(_binds(step, bound) for step in steps))
            if _bound(base, bound):
                names |= {var.name for step in steps for var in _pattern(step)}
            return names
        case Assign():
            return _unifies(expression.left, expression.right, bound)
        case Call(name=name, arguments=arguments):
            names = set().union(*(_binds(item, bound) for item in arguments))
            if name in OUTPUTS and len(arguments) == ARGUMENTS[name] + 1:
                names |= {var.name for var in _pattern(arguments[-1])}
            return names
        case Compr():
            return set()
        case _:
            return set().union(*(_binds(part, bound) for part in parts(expression)))


def _unifies(left: Expr, right: Expr, bound: frozenset[str]) -> set[str]:
    if isinstance(left, Group) and isinstance(right, Group) and left.kind == right.kind == "array":
        if len(left.items) == len(right.items):
            return set().union(*(_unifies(a, b, bound) for a, b in zip(left.items, right.items, strict=True)))
        return set()
    names = _binds(left, bound) | _binds(right, bound)
    if _bound(right, bound | names):
        names |= {var.name for var in _pattern(left)}
    if _bound(left, bound | names):
        names |= {var.name for var in _pattern(right)}
    return names


def _pattern(expression: Expr) -> Iterator[Var]:
    """The variables that get a value when `expression` is matched with one: keys of objects do not."""
    if isinstance(expression, Var):
        yield expression
    elif isinstance(expression, Group):
        for item in expression.items[1::2] if expression.kind == "object" else expression.items:
            yield from _pattern(item)


def variables(expression: Expr) -> Iterator[Var]:
    """Every variable in `expression` but those inside a comprehension."""
    if isinstance(expression, Compr):
        return
    if isinstance(expression, Var):
        yield expression
    elif isinstance(expression, Ref) and isinstance(expression.base, Var):
        yield expression.base
    for part in parts(expression):
        yield from variables(part)


def _bound(expression: Expr, bound: Iterable[str]) -> bool:
    return all(var.name in bound or _any(var) for var in variables(expression))


def _check_query(query: Query, bound: frozenset[str]) -> Iterator[Loose]:
    """The loose variables of `query`, whose bound names are `bound`."""
    seen: set[str] = set()
    for var in declares(query):
        if var.name in seen | _ROOTS and not _any(var):
            yield Loose(var.name, var.at, twice=True)
        seen.add(var.name)
    for statement in query:
        yield from _check(statement.items, bound)
        mentioned = {word for item in inside_query(statement.query or query) for word in words(item)[:1]}
        for var in statement.declared:
            if var.name not in mentioned and not _any(var):
                yield Loose(var.name, var.at, unused=True)
        if statement.kind == "not":
            yield from (Loose(var.name, var.at) for item in statement.items for var in variables(item) if _any(var))
        yield from _check([item for pair in statement.replaced for item in pair if not _builtin(item)], bound)
        if statement.kind == "every":
            yield from (Loose(var.name, var.at, twice=True) for var in statement.declared if var.name in _ROOTS)
            names = bound | {var.name for var in statement.declared}
            yield from _check_query(statement.query, _closure(statement.query, names))


def _check(expressions: Iterable[Expr], bound: frozenset[str]) -> Iterator[Loose]:
    for expression in expressions:
        for var in variables(expression):
            if var.name not in bound and not _any(var):
                yield Loose(var.name, var.at)
        for compr in _comprehensions(expression):
            inner = _closure(compr.query, bound)
            yield from _check_query(compr.query, inner)
            yield from _check(compr.terms, inner)


def _any(var: Var) -> bool:
    """Whether it is a wildcard: some item, which `not` cannot bind."""
    return var.name == _WILDCARD


def _comprehensions(expression: Expr) -> Iterator[Compr]:
    """The outermost comprehensions in `expression`."""
    if isinstance(expression, Compr):
        yield expression
        return
    for part in parts(expression):
        yield from _comprehensions(part)


def _builtin(expression: Expr) -> bool:
    """`with time.now_ns as ...`: the name of a builtin is no reference to a variable `time`."""
    return ".".join(words(expression)) in ARGUMENTS
