"""What a policy calls: builtins that are refused, unknown or mean different things, and arguments that do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from policies.embedded.graph import Names
from policies.embedded.portable import (
    ARGUMENTS,
    NEEDLES,
    OUTPUTS,
    PATTERNS,
    REFUSED,
    WARNED,
    verbs,
)
from policies.embedded.reads import input_path
from policies.embedded.tree import (
    Assign,
    Call,
    Compr,
    Const,
    Expr,
    Group,
    Module,
    Ref,
    Rule,
    Var,
    inside,
    inside_rule,
    parts,
    words,
)

Finding: TypeAlias = tuple[int, str, str]
"""(offset, code, message)"""

_ALIKE: Final = frozenset("sdv")
_GATEWAYS_OWN: Final = ("key", "patterns")


def check_calls(module: Module, rule: Rule, names: Names) -> Iterator[Finding]:
    """Findings about every call in `rule`; errors all but those of code `reads_clock`."""
    for expression in inside_rule(rule):
        match expression:
            case Call():
                yield from _call(module, expression, names)
                yield from _arguments(expression)
            case Ref() | Var() if ".".join(words(expression)) in REFUSED:
                yield expression.at, "builtin_refused", f"{'.'.join(words(expression))} is refused in a policy"
            case _:
                pass


def constant_patterns(rule: Rule) -> Iterator[tuple[str, int]]:
    """The regular expressions that stand in the text, and where."""
    for expression in inside_rule(rule):
        item = _argument(expression, PATTERNS) if isinstance(expression, Call) else None
        if isinstance(item, Const) and isinstance(item.value, str):
            yield item.value, item.at


def _call(module: Module, call: Call, names: Names) -> Iterator[Finding]:
    given, name = len(call.arguments), call.name
    path = names.full(module, tuple(name.split("."))) if name else None
    if path is not None:
        counts = {len(rule.arguments) for _, rule in names.rules.get(path, ()) if rule.kind == "function"}
        if not counts:
            yield call.at, "unknown_function", f"{name} is not a function"
        elif counts != {given}:
            yield call.at, "wrong_arguments", f"{name} takes {min(counts)} arguments, not {given}"
    elif name in REFUSED:
        yield call.at, "builtin_refused", f"{name} is refused in a policy: it reaches out of the gateway"
    elif name not in ARGUMENTS:
        yield call.at, "builtin_not_portable", f"{name or 'what is called here'} is no function that all engines have"
    elif name in OUTPUTS and given != ARGUMENTS[name] + 1:
        yield (
            call.at,
            "wrong_arguments",
            f"{name} as a value differs between the engines: write {name}(x, [path, value])",
        )
    elif name not in OUTPUTS and given != ARGUMENTS[name]:
        yield call.at, "wrong_arguments", f"{name} takes {ARGUMENTS[name]} arguments, not {given}"
    elif name in WARNED:
        yield call.at, "reads_clock", f"{name}: {WARNED[name]}"


def _arguments(call: Call) -> Iterator[Finding]:
    if call.name == "sprintf" and call.arguments:
        yield from _format(call)
    needle = _argument(call, NEEDLES)
    if needle is not None and not (isinstance(needle, Const) and isinstance(needle.value, str) and needle.value):
        yield (
            needle.at,
            "empty_needle",
            f'what {call.name} looks for must be a constant: "" differs between the engines',
        )


def _format(call: Call) -> Iterator[Finding]:
    form, *rest = call.arguments
    if not isinstance(form, Const) or not isinstance(form.value, str):
        yield form.at, "sprintf_format", "the format of sprintf must be a text, so that it can be checked"
        return
    found = verbs(form.value)
    wrong = [verb for verb in found if verb not in _ALIKE]
    if wrong:
        yield form.at, "sprintf_format", f"%{wrong[0]} differs between the engines: use %s, %d or %v"
    elif rest and isinstance(rest[0], Group) and len(rest[0].items) != len(found):
        yield form.at, "sprintf_format", f"{len(found)} verbs for {len(rest[0].items)} values"


def _argument(call: Call, positions: Mapping[str, int]) -> Expr | None:
    position = positions.get(call.name)
    return call.arguments[position] if position is not None and position < len(call.arguments) else None


def from_caller(expression: Expr, given: dict[str, list[Expr]], seen: frozenset[str]) -> bool:
    """Whether the value of `expression` is made of what a caller sent; what is only an index is no part of it.

    `given` is what `sources` says of the rule, `seen` the variables that were followed already.
    """
    path = input_path(expression)
    if path is not None:
        return path[: len(_GATEWAYS_OWN)] != _GATEWAYS_OWN
    if isinstance(expression, Ref):
        return from_caller(expression.base, given, seen)
    if isinstance(expression, Var):
        if expression.name in seen:
            return False
        seen |= {expression.name}
        return any(from_caller(source, given, seen) for source in given.get(expression.name, ()))
    return any(from_caller(part, given, seen) for part in parts(expression))


def sources(rule: Rule) -> dict[str, list[Expr]]:
    """By variable, the expressions that it is matched with or taken out of, anywhere in `rule`."""
    found: dict[str, list[Expr]] = {}
    queries = [body.query for body in rule.bodies]
    queries += [item.query for item in inside_rule(rule) if isinstance(item, Compr)]
    while queries:
        for statement in queries.pop():
            pairs: list[tuple[Expr, Expr]] = [
                (var, statement.items[0]) for var in statement.declared if statement.items
            ]
            if statement.kind == "some" and statement.items:
                pairs += [(pattern, statement.items[-1]) for pattern in statement.items[:-1]]
            elif statement.kind == "every":
                queries.append(statement.query)
            elif statement.items and isinstance(statement.items[0], Assign):
                pairs.append((statement.items[0].left, statement.items[0].right))
            for left, right in pairs:
                for part in inside(left):
                    if isinstance(part, Var):
                        found.setdefault(part.name, []).append(right)
    return found
