"""Which rule a name means, and which rules depend on themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from policies.embedded.tree import Assign, Call, Compr, Expr, Module, Query, Rule, Var, inside, inside_rule, words

Path: TypeAlias = tuple[str, ...]


class Names:
    """What the modules of a policy define."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.rules: dict[Path, list[tuple[Module, Rule]]] = {}
        """By the full constant path below `data`: gateway, authz, obligations, model."""
        for module in modules:
            for rule in module.rules:
                self.rules.setdefault(module.package + rule.path, []).append((module, rule))
        self._first: dict[Path, set[str]] = {}
        for module in modules:
            self._first.setdefault(module.package, set()).update(rule.name for rule in module.rules)

    def of_package(self, package: Path) -> frozenset[str]:
        """The first words of the rules of a package."""
        return frozenset(self._first.get(package, ()))

    def full(self, module: Module, named: Path) -> Path | None:
        """The path below `data` that `named` stands for in `module`; None for a local variable, `input`, a builtin."""
        if not named:
            return None
        if named[0] == "data":
            return named[1:]
        if named[0] in self._first.get(module.package, ()):
            return module.package + named
        for item in module.imports:
            if item.name == named[0] and item.path[:1] == ("data",):
                return item.path[1:] + named[1:]
        return None

    def defined(self, path: Path) -> bool:
        """Whether `path` is a rule, part of one's value, or holds rules."""
        return any(other[: len(path)] == path or path[: len(other)] == other for other in self.rules)


def local_names(rule: Rule) -> frozenset[str]:
    """The names that `rule` uses for variables of its own, anywhere in it."""
    queries = [body.query for body in rule.bodies]
    queries += [item.query for item in inside_rule(rule) if isinstance(item, Compr)]
    names = {part.name for item in rule.arguments for part in inside(item) if isinstance(part, Var)}
    return frozenset(names.union(*(_own(query) for query in queries)))


def _own(query: Query) -> set[str]:
    names: set[str] = set()
    for statement in query:
        patterns: list[Expr] = [*statement.declared]
        if statement.kind == "some":
            patterns += statement.items[:-1]
        elif statement.kind == "every":
            names |= _own(statement.query)
        elif isinstance(statement.items[0], Assign) and statement.items[0].declares:
            patterns.append(statement.items[0].left)
        names |= {part.name for item in patterns for part in inside(item) if isinstance(part, Var)}
    return names


def cycles(names: Names) -> Iterator[tuple[Module, Rule]]:
    """One rule of every ring of rules that depend on each other: Rego has no recursion, regorus dies of it."""
    edges = {path: set(_uses(path, names)) for path in names.rules}
    finished: set[Path] = set()
    for start in names.rules:
        for path in _rings(start, edges, finished):
            yield names.rules[path][0]


def unread(names: Names, entry: Path) -> Iterator[tuple[Module, Rule]]:
    """The rules that what stands at `entry` does not depend on, the first definition of each."""
    reached, waiting = {entry}, [entry]
    while waiting:
        path = waiting.pop()
        for other in _uses(path, names) if path in names.rules else ():
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    for path, found in names.rules.items():
        if path not in reached:
            yield found[0]


def _rings(start: Path, edges: dict[Path, set[Path]], finished: set[Path]) -> Iterator[Path]:
    """Depth first without recursion: a policy may have many rules, and must not end us by that."""
    if start in finished:
        return
    open_now: dict[Path, Iterator[Path]] = {start: iter(sorted(edges[start]))}
    while open_now:
        path = next(reversed(open_now))
        following = next(open_now[path], None)
        if following is None:
            finished.add(path)
            del open_now[path]
        elif following in open_now:
            yield following
        elif following not in finished:
            open_now[following] = iter(sorted(edges[following]))


def _uses(path: Path, names: Names) -> Iterator[Path]:
    for module, rule in names.rules[path]:
        local = local_names(rule)
        for named in _named(rule):
            full = None if named[0] in local else names.full(module, named)
            if full is not None:
                yield from (other for other in names.rules if other[: len(full)] == full or full[: len(other)] == other)


def _named(rule: Rule) -> Iterator[Path]:
    for expression in inside_rule(rule):
        named = tuple(expression.name.split(".")) if isinstance(expression, Call) else words(expression)
        if named and named[0]:
            yield named
