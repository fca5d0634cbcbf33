"""A Rego module as a typed tree (parse.py reads it), and ways to walk it.

References are flat here: `input.caller["id"][i]` is `Ref(Var("input"), (Text("caller"), Text("id"), Var("i")))`, and a
lone `input` is a `Var`. `at` is a byte offset into the module's text; `Text` and numbers alike are `Const`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from policies.json import JSON


@dataclass(frozen=True, slots=True)
class Var:
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Const:
    value: JSON
    at: int


@dataclass(frozen=True, slots=True)
class Ref:
    """`base` with one or more steps; a step is a Const, a Var or any other expression."""

    base: Expr
    steps: tuple[Expr, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """`name` is the dotted name of what is called, "" if it is not a plain name."""

    name: str
    arguments: tuple[Expr, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Group:
    """An array, a set, or an object (then keys and values alternate)."""

    kind: Literal["array", "set", "object"]
    items: tuple[Expr, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Compr:
    """A comprehension: its terms (two of an object), evaluated for each answer of the query."""

    kind: Literal["array", "set", "object"]
    terms: tuple[Expr, ...]
    query: Query
    at: int


@dataclass(frozen=True, slots=True)
class Op:
    """An operator: comparison, arithmetic, set operation, sign, or `in` (key?, value, collection).

    `operator` is which one, where `kind` has several: `Add`, `Sub`, `Mul`, `Div`, `Mod` of `ArithExpr`; else "".
    """

    kind: str
    items: tuple[Expr, ...]
    at: int
    operator: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """`left := right` (`declares`) or `left = right`."""

    left: Expr
    right: Expr
    declares: bool
    at: int


Expr: TypeAlias = Var | Const | Ref | Call | Group | Compr | Op | Assign


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of a body.

    `some`: `declared`, or `some key?, value in collection` in `items`. `every`: `declared` are its variables, `items`
    its domain, `query` what must hold. `is` and `not`: one expression in `items`.
    """

    kind: Literal["some", "is", "not", "every"]
    items: tuple[Expr, ...]
    declared: tuple[Var, ...]
    query: Query
    replaced: tuple[tuple[Expr, Expr], ...]
    """`with target as value`"""
    at: int


Query: TypeAlias = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """One body of a rule, or one of its `else` branches, with the value that it gives."""

    query: Query
    value: Expr | None
    is_else: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `name` is its first word, `path` its constant words (`p.q.r`), `steps` all that follows the first."""

    kind: Literal["value", "set", "function", "default"]
    name: str
    path: tuple[str, ...]
    steps: tuple[Expr, ...]
    arguments: tuple[Expr, ...]
    key: Expr | None
    value: Expr | None
    bodies: tuple[Body, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Import:
    """`import path as name`."""

    path: tuple[str, ...]
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Module:
    """One file."""

    file: str
    text: str
    package: tuple[str, ...]
    package_at: int
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]

    def place(self, at: int) -> tuple[int, int]:
        """Row and column, both from 1, of byte offset `at`; the column counts characters, a tab as one."""
        before = self.text.encode()[:at].decode(errors="replace")
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def words(expression: Expr) -> tuple[str, ...]:
    """The constant words that a reference starts with: `data.a.b[x].c` -> data, a, b."""
    if isinstance(expression, Var):
        return (expression.name,)
    if not isinstance(expression, Ref) or not isinstance(expression.base, Var):
        return ()
    found = [expression.base.name]
    for step in expression.steps:
        if not isinstance(step, Const) or not isinstance(step.value, str):
            break
        found.append(step.value)
    return tuple(found)


def parts(expression: Expr) -> tuple[Expr, ...]:
    """The expressions directly inside `expression`, without those of a comprehension's query.

    The variable that a reference starts with is no part of its own: `input.a` does not contain `input`.
    """
    match expression:
        case Var() | Const():
            return ()
        case Ref():
            return expression.steps if isinstance(expression.base, Var) else (expression.base, *expression.steps)
        case Call():
            return expression.arguments
        case Group() | Op():
            return expression.items
        case Compr():
            return expression.terms
        case Assign():
            return (expression.left, expression.right)


def inside(expression: Expr) -> Iterator[Expr]:
    """`expression` and everything in it, queries of comprehensions included."""
    yield expression
    for part in parts(expression):
        yield from inside(part)
    if isinstance(expression, Compr):
        yield from inside_query(expression.query)


def inside_query(query: Query) -> Iterator[Expr]:
    """Every expression in a query, those of its `with` included."""
    for statement in query:
        for item in statement.items:
            yield from inside(item)
        yield from inside_query(statement.query)
        for target, value in statement.replaced:
            yield from inside(target)
            yield from inside(value)


def inside_rule(rule: Rule) -> Iterator[Expr]:
    """Every expression of a rule: steps of its head, arguments, key, values, bodies."""
    for part in (*rule.steps, *rule.arguments, rule.key, rule.value):
        if part is not None:
            yield from inside(part)
    for body in rule.bodies:
        yield from inside_query(body.query)
        if body.value is not None:
            yield from inside(body.value)
