"""What a value can be, as far as a policy's text tells: its kind, and of numbers whether they are whole and how large.

A small abstract interpreter, without flow: a variable is all that the rule ever gives it, a function's argument all
that any call passes. What it cannot tell is `ANYTHING`, and whoever asks must take that for the worst case. What comes
from outside (data, claims) is JSON: never a set, and its numbers are within `EXACT`, which `policy check` and the
engine itself hold data to (alike.py). A policy that uses `with` can put anything anywhere: nothing is told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from policies.bundle import DATA_ROOT
from policies.embedded.graph import Names, Path
from policies.embedded.known import has_open_keys, kind_at
from policies.embedded.lattice import (
    ANYTHING,
    INDEX,
    OUTSIDE,
    SET,
    SUMMED,
    TEXT,
    TRUTH,
    Value,
    calculated,
    collection,
    number,
    outer,
    rounded,
    union,
)
from policies.embedded.origins import Origin, origins, queries
from policies.embedded.reads import input_path
from policies.embedded.results import COLLECTIONS, KEEPS_ITEMS, RESULTS, ROUNDED, field, text, written
from policies.embedded.tree import (
    Assign,
    Call,
    Compr,
    Const,
    Expr,
    Group,
    Module,
    Op,
    Ref,
    Rule,
    Statement,
    Var,
    inside_rule,
    words,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands."""

    module: Module
    rule: Rule


class Values:
    """The values of all expressions of a policy."""

    def __init__(self, modules: Sequence[Module], names: Names) -> None:
        self._names = names
        self._calls: dict[Path, list[tuple[Scope, tuple[Expr, ...]]]] = {}
        self._known: dict[object, Value] = {}
        self._origins: dict[int, dict[str, list[Origin]]] = {}
        self._blind = any(statement.replaced for module in modules for statement in _statements(module))
        for module in modules:
            for rule in module.rules:
                for item in inside_rule(rule):
                    path = names.full(module, tuple(item.name.split("."))) if isinstance(item, Call) else None
                    if path is not None and isinstance(item, Call):
                        self._calls.setdefault(path, []).append((Scope(module, rule), item.arguments))

    def of(self, scope: Scope, expression: Expr) -> Value:
        """What `expression` can be, where it stands in `scope`."""
        match expression:
            case Const() | Assign():
                return written(expression)
            case Group(kind=kind, items=held) | Compr(kind=kind, terms=held):
                found = collection(kind, *(self.of(scope, item) for item in held))
                return replace(found, outside=not held and kind != "set")
            case Op():
                return self._operation(scope, expression)
            case _ if self._blind:
                return ANYTHING
            case Call():
                return self._called(scope, expression)
            case Var() | Ref():
                return self._named(scope, expression)

    def items(self, scope: Scope, expression: Expr, *, keys: bool = False) -> Value:
        """What an item (or, with `keys`, a key or index) of the collection `expression` can be."""
        match expression:
            case Group(kind="array") | Compr(kind="array") if keys:
                return INDEX
            case Group(kind=kind, items=items):
                every = items if kind != "object" else items[0 if keys else 1 :: 2]
                return union(self.of(scope, item) for item in every)
            case Compr(terms=terms):
                return self.of(scope, terms[0 if keys else -1])
            case Op(items=items):
                return union(self.items(scope, item) for item in items)
            case Var() | Ref() if not self._blind:
                return self._items_named(scope, expression, keys=keys)
            case _:
                known = isinstance(expression, Call) and not (keys or self._blind)
                return self._items_called(scope, expression) if known else ANYTHING

    def _items_called(self, scope: Scope, call: Expr) -> Value:
        match call:
            case Call(name=name) if self.is_function(scope, name):
                path = self._names.full(scope.module, tuple(name.split("."))) or ()
                found = [Scope(*each) for each in self._names.rules.get(path, ())]
                return self._once(("returned", path), lambda: union(self._items_of(each, keys=False) for each in found))
            case Call(name="numbers.range", arguments=(low, high)):
                return _between(self.of(scope, low), self.of(scope, high))
            case Call(name="object.get", arguments=(first, _, default)):
                return union((outer(self.of(scope, first)), self.items(scope, default)))
            case Call(name="split"):
                return TEXT
            case Call(name=name, arguments=arguments) if name in KEEPS_ITEMS:
                return union(self.items(scope, item) for item in arguments[: KEEPS_ITEMS[name]])
            case _:
                return ANYTHING

    def _items_named(self, scope: Scope, expression: Var | Ref, *, keys: bool) -> Value:
        path = input_path(expression)
        if path is not None and not has_open_keys(path):
            return INDEX if keys and kind_at(path) == "array" else text(path)
        rules = self._rules(scope, expression)
        if rules is not None:
            return self._once(
                ("items", keys, tuple(id(rule) for _, rule in rules)),
                lambda: union(self._items_of(Scope(*found), keys=keys) for found in rules),
            )
        if isinstance(expression, Var):
            return self._once(
                ("items", keys, id(scope.rule), expression.name),
                lambda: union(self._items_from(scope, origin, keys=keys) for origin in self._from(scope, expression)),
            )
        return outer(self.of(scope, expression))

    def _items_of(self, scope: Scope, *, keys: bool) -> Value:
        rule = scope.rule
        variable = [step for step in rule.steps if not isinstance(step, Const)]
        if variable and (variable != [rule.steps[-1]] or rule.kind == "set"):
            return ANYTHING
        if rule.kind == "set" and rule.key is not None:
            return self.of(scope, rule.key)
        if variable:
            return self.of(scope, variable[0]) if keys else union(self.of(scope, value) for value in _given(rule))
        return union(self.items(scope, value, keys=keys) for value in _given(rule))

    def _items_from(self, scope: Scope, origin: Origin, *, keys: bool) -> Value:
        if origin.how == "is" and origin.source is not None:
            return self.items(scope, origin.source, keys=keys)
        if origin.how == "argument":
            passed = self._passed(scope, origin.position)
            return union(self.items(where, item, keys=keys) for where, item in passed) if passed else ANYTHING
        return outer(self._from_origin(scope, origin))

    def _named(self, scope: Scope, expression: Var | Ref) -> Value:
        path = input_path(expression)
        if path is not None:
            return field(path, steps=len(expression.steps) if isinstance(expression, Ref) else 0)
        if self._is_data(scope, expression):
            return OUTSIDE
        rules = self._rules(scope, expression)
        if rules is not None:
            return self._once(
                ("is", tuple(id(rule) for _, rule in rules)),
                lambda: union(self._rule(Scope(*found)) for found in rules),
            )
        if isinstance(expression, Var):
            return self._once(
                ("is", id(scope.rule), expression.name),
                lambda: union(self._from_origin(scope, origin) for origin in self._from(scope, expression)),
            )
        *before, _ = expression.steps
        return self.items(scope, Ref(expression.base, tuple(before), expression.at) if before else expression.base)

    def _is_data(self, scope: Scope, expression: Var | Ref) -> bool:
        named = words(expression)
        if not named or named[0] in self._bindings(scope):
            return False
        return (self._names.full(scope.module, named) or ())[:1] == (DATA_ROOT,)

    @property
    def blind(self) -> bool:
        """Whether the policy uses `with`, so that nothing can be told."""
        return self._blind

    def binds(self, scope: Scope, name: str) -> bool:
        """Whether `name` is a variable of the rule."""
        return name in self._bindings(scope)

    def bindings(self, scope: Scope, name: str) -> list[Origin]:
        """Where the variable gets its values."""
        return self._bindings(scope).get(name, [])

    def definitions(self, scope: Scope, expression: Expr) -> list[Scope] | None:
        """The definitions of the rule that `expression` is the whole of; None if it is none."""
        found = self._rules(scope, expression) if isinstance(expression, Var | Ref) else None
        return None if found is None else [Scope(*each) for each in found]

    def is_function(self, scope: Scope, name: str) -> bool:
        """Whether `name` is a function of the policy."""
        path = self._names.full(scope.module, tuple(name.split("."))) if name else None
        return path is not None and path in self._names.rules

    def _rules(self, scope: Scope, expression: Var | Ref) -> list[tuple[Module, Rule]] | None:
        """The definitions of the rule that `expression` is the whole of; None if it is none, or a part of one."""
        named = words(expression)
        if not named or named[0] in self._bindings(scope):
            return None
        if isinstance(expression, Ref) and len(expression.steps) >= len(named):
            return None
        path = self._names.full(scope.module, named)
        found = self._names.rules.get(path) if path is not None else None
        return found if found and all(rule.kind != "function" for _, rule in found) else None

    def _rule(self, scope: Scope) -> Value:
        rule = scope.rule
        if rule.kind == "set":
            return collection("set", *([] if rule.key is None else [self.of(scope, rule.key)]))
        if any(not isinstance(step, Const) for step in rule.steps):
            return collection("object", *(self.of(scope, held) for held in (*rule.steps, *_given(rule))))
        return union(self.of(scope, value) for value in _given(rule))

    def _bindings(self, scope: Scope) -> dict[str, list[Origin]]:
        found = self._origins.get(id(scope.rule))
        if found is None:
            found = self._origins[id(scope.rule)] = origins(scope.rule)
        return found

    def _from(self, scope: Scope, var: Var) -> list[Origin]:
        return self._bindings(scope).get(var.name, [Origin("unknown")])

    def _from_origin(self, scope: Scope, origin: Origin) -> Value:
        if origin.how in {"argument", "inside"}:
            passed = self._passed(scope, origin.position)
            found = union(self.of(where, item) for where, item in passed) if passed else ANYTHING
            return outer(found) if origin.how == "inside" else found
        if origin.source is None:
            return ANYTHING
        if origin.how == "is":
            return self.of(scope, origin.source)
        if origin.how == "part":
            return outer(self.of(scope, origin.source))
        return self.items(scope, origin.source, keys=origin.how == "key")

    def passed(self, scope: Scope, position: int) -> list[tuple[Scope, Expr]]:
        """What calls pass as this argument of the function that `scope` is in."""
        return self._passed(scope, position)

    def _passed(self, scope: Scope, position: int) -> list[tuple[Scope, Expr]]:
        """What calls pass as this argument of the function."""
        calls = self._calls.get(scope.module.package + scope.rule.path, ())
        return [(where, arguments[position]) for where, arguments in calls if position < len(arguments)]

    def _called(self, scope: Scope, call: Call) -> Value:
        path = self._names.full(scope.module, tuple(call.name.split("."))) if call.name else None
        if path is not None:
            found = self._names.rules.get(path, ())
            return self._once(("called", path), lambda: union(self._rule(Scope(*definition)) for definition in found))
        return self._builtin(scope, call, call.arguments)

    def _builtin(self, scope: Scope, call: Call, arguments: tuple[Expr, ...]) -> Value:
        if call.name in {"max", "min", "union", "intersection"} and arguments:
            found = self.items(scope, arguments[0])
            return found if call.name in {"max", "min"} else replace(found, kinds=SET)
        if call.name == "object.get" and len(arguments) > 2:  # noqa: PLR2004 - with its default
            return union((outer(self.of(scope, arguments[0])), self.of(scope, arguments[2])))
        if call.name in COLLECTIONS:
            return collection(COLLECTIONS[call.name], *(self.of(scope, item) for item in arguments))
        if call.name == "sum" and arguments:
            return self._sum(scope, arguments[0])
        if call.name in ROUNDED | {"abs"} and arguments:
            return rounded(call.name, self.of(scope, arguments[0]))
        return RESULTS.get(call.name, ANYTHING)

    def _sum(self, scope: Scope, argument: Expr) -> Value:
        item = self.items(scope, argument).counted
        times = len(argument.items) if isinstance(argument, Group) else SUMMED
        return ANYTHING if item is None else number(min(0, item[0] * times), max(0, item[1] * times))

    def _operation(self, scope: Scope, op: Op) -> Value:
        values = [self.of(scope, item) for item in op.items]
        if op.kind == "BinExpr" or (op.kind == "ArithExpr" and any(value.kinds == SET for value in values)):
            return Value(SET, nesting=max(1, *(value.nesting for value in values)))
        if op.kind == "ArithExpr" and len(values) == 2:  # noqa: PLR2004 - its two operands
            left, right = (value.counted for value in values)
            found = None if left is None or right is None else calculated(op.operator, left, right)
            return ANYTHING if found is None else found
        if op.kind == "UnaryExpr":
            (found_range,) = (value.counted for value in values)
            return ANYTHING if found_range is None else number(-found_range[1], -found_range[0])
        return TRUTH

    def _once(self, key: object, find: Callable[[], Value]) -> Value:
        """`find()`, once for each `key`; `ANYTHING` while it is being found, so that a ring of rules ends."""
        known = self._known.get(key)
        if known is None:
            self._known[key] = ANYTHING
            known = self._known[key] = find()
        return known


def _between(low: Value, high: Value) -> Value:
    """A whole number from the one to the other, in whichever order."""
    ends = [value.counted for value in (low, high)]
    known = [found for found in ends if found is not None]
    if len(known) < len(ends):
        return ANYTHING
    return number(min(found[0] for found in known), max(found[1] for found in known))


def _statements(module: Module) -> Iterator[Statement]:
    for rule in module.rules:
        for query in queries(rule):
            yield from query


def _given(rule: Rule) -> list[Expr]:
    """The expressions whose values the rule can have."""
    given = [body.value for body in rule.bodies if body.value is not None]
    return [*given, rule.value or Const(value=True, at=rule.at)]
