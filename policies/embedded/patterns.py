"""Patterns: regular expressions and globs that mean one thing, wherever they come from.

A regular expression is a constant within the grammar of expressions.py, `input.key.patterns`, or a text in data below a
key `pattern` or `patterns` (the gateway writes those of grants, alike.py holds all others to the same grammar). Every
way it can take there is followed; one that ends elsewhere is refused. A glob is a constant within a smaller grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.embedded.alike import PATTERN_KEYS
from policies.embedded.calls import Finding, from_caller, sources
from policies.embedded.expressions import unlike
from policies.embedded.portable import PATTERNS
from policies.embedded.reads import input_path
from policies.embedded.tree import Call, Compr, Const, Expr, Group, Ref, Rule, Var, inside_rule
from policies.embedded.values import Scope, Values

_GATEWAYS_OWN: Final = ("key", "patterns")
_LETTER: Final = r"[A-Za-z0-9 ._:/@+=,#%&~-]"
_CHOICE: Final = r"[A-Za-z0-9 ._:/@+=#%&~-]+"
_GLOB: Final = re.compile(rf"(?:{_LETTER}|\?|\*(?!\*)|\{{{_CHOICE}(?:,{_CHOICE})*\}})*", re.ASCII)
_DELIMITERS: Final = frozenset({"/", "."})
_UNKNOWN: Final = (
    "a regular expression that is no constant, nor input.key.patterns, nor data below a key named pattern or patterns: "
    "only those are known to mean the same to both engines"
)
_CALLERS: Final = "a regular expression made of what a caller sent: only input.key.patterns is"
_GLOBS: Final = (
    "a glob must be a constant of letters, *, ?, {a,b}, and ** alone or behind the delimiter at the end: for all else "
    "use regex.match, with input.key.patterns or the pattern of a grant's models"
)
_GRAMMAR: Final = (
    "write [0-9] for \\d, [A-Za-z0-9_] for \\w, (...) or (?:...) for groups, at most one repetition after each"
)


def unlike_patterns(scope: Scope, values: Values) -> Iterator[Finding]:
    """Findings of one rule."""
    for call in inside_rule(scope.rule):
        if isinstance(call, Call) and not values.is_function(scope, call.name):
            place = PATTERNS.get(call.name)
            if place is not None and place < len(call.arguments):
                yield from _expression(scope, call.arguments[place], values)
            if call.name == "regex.replace":
                yield from _replacement(call)
            elif call.name == "glob.match":
                yield from _glob(scope, call, values)


def _expression(scope: Scope, pattern: Expr, values: Values) -> Iterator[Finding]:
    for constant in _Ways(values).of(scope, pattern):
        if constant is None:
            sent = from_caller(pattern, sources(scope.rule), frozenset())
            yield pattern.at, "caller_pattern" if sent else "pattern_not_portable", _CALLERS if sent else _UNKNOWN
            return
        found = unlike(constant)
        if found is not None:
            yield pattern.at, "pattern_not_portable", f"{found} in a pattern need not mean the same: {_GRAMMAR}"
            return


class _Ways:
    """The constants that an expression can be, None for whatever else it can be; what is sound anyhow is left out."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._seen: set[tuple[bool, int, str]] = set()

    def of(self, scope: Scope, expression: Expr) -> Iterator[str | None]:
        match expression:
            case Const(value=str() as text):
                yield text
            case Var() | Ref():
                yield from self._named(scope, expression, items=False)
            case _:
                yield None

    def _items(self, scope: Scope, expression: Expr) -> Iterator[str | None]:
        match expression:
            case Group(kind="array" | "set", items=items) | Compr(kind="array" | "set", terms=items):
                for item in items:
                    yield from self.of(scope, item)
            case Var() | Ref():
                yield from self._named(scope, expression, items=True)
            case _:
                yield None

    def _named(self, scope: Scope, expression: Var | Ref, *, items: bool) -> Iterator[str | None]:
        if self._is_known(scope, expression):
            return
        definitions = self._values.definitions(scope, expression)
        if definitions is not None:
            for each in definitions:
                if self._first(items, id(each.rule), ""):
                    yield from self._definition(each, items=items)
        elif isinstance(expression, Ref) and not items:
            before = expression.steps[:-1]
            yield from self._items(scope, Ref(expression.base, before, expression.at) if before else expression.base)
        elif not isinstance(expression, Var) or not self._values.binds(scope, expression.name) or self._values.blind:
            yield None
        elif self._first(items, id(scope.rule), expression.name):
            yield from self._variable(scope, expression, items=items)

    def _variable(self, scope: Scope, variable: Var, *, items: bool) -> Iterator[str | None]:
        follow = self._items if items else self.of
        for origin in self._values.bindings(scope, variable.name):
            if origin.how == "is" and origin.source is not None:
                yield from follow(scope, origin.source)
            elif origin.how == "item" and origin.source is not None and not items:
                yield from self._items(scope, origin.source)
            elif origin.how == "argument":
                for where, item in self._values.passed(scope, origin.position):
                    yield from follow(where, item)
            else:
                yield None

    def _definition(self, scope: Scope, *, items: bool) -> Iterator[str | None]:
        rule: Rule = scope.rule
        if any(not isinstance(step, Const) for step in rule.steps) or self._values.blind:
            yield None
        elif rule.kind == "set":
            yield from self.of(scope, rule.key) if rule.key is not None and items else (None,)
        else:
            given = [rule.value, *(body.value for body in rule.bodies)]
            for value in given:
                if value is not None:
                    yield from self._items(scope, value) if items else self.of(scope, value)

    def _is_known(self, scope: Scope, expression: Var | Ref) -> bool:
        """Whether it reads what the gateway wrote, or data that is held to the grammar."""
        path = input_path(expression)
        if path is not None:
            return path == _GATEWAYS_OWN and not self._values.blind
        steps = expression.steps if isinstance(expression, Ref) else ()
        named = any(isinstance(step, Const) and step.value in PATTERN_KEYS for step in steps)
        value = self._values.of(scope, expression)
        return named and value.outside and not value.sent

    def _first(self, items: bool, rule: int, name: str) -> bool:  # noqa: FBT001 - part of a key
        before = len(self._seen)
        self._seen.add((items, rule, name))
        return len(self._seen) > before


def _replacement(call: Call) -> Iterator[Finding]:
    replacement = call.arguments[-1]
    if not (isinstance(replacement, Const) and isinstance(replacement.value, str) and "$" not in replacement.value):
        yield replacement.at, "pattern_not_portable", "what regex.replace puts in must be a constant without $"


def _glob(scope: Scope, call: Call, values: Values) -> Iterator[Finding]:
    pattern, delimiters, text = (*call.arguments, *[None] * 3)[:3]
    if pattern is None or delimiters is None or text is None:
        return
    delimiter = _delimiter(delimiters)
    if delimiter is None:
        yield (
            delimiters.at,
            "glob_delimiters",
            'the delimiters of glob.match must stand there as null, ["/"] or ["."]: others differ between the engines',
        )
        return
    glob = pattern.value if isinstance(pattern, Const) and isinstance(pattern.value, str) else None
    if glob is None or not _is_like(glob, delimiter):
        yield (
            pattern.at,
            "glob_not_portable",
            _GLOBS,
        )
    elif "?" in glob and not values.of(scope, text).plain:
        yield text.at, "glob_not_portable", "? counts bytes in this engine: of what may not be ASCII use regex.match"


def _is_like(glob: str, delimiter: str) -> bool:
    body = "" if glob == "**" else glob.removesuffix(delimiter + "**") if delimiter else glob
    return _GLOB.fullmatch(body) is not None


def _delimiter(expression: Expr) -> str | None:
    """The delimiter, "" for none; None if it is none that both engines take alike."""
    match expression:
        case Const(value=None):
            return ""
        case Group(kind="array", items=(Const(value=str() as one),)) if one in _DELIMITERS:
            return one
        case _:
            return None
