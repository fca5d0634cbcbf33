"""Nodes + Shape -> a value. Goes on after a mistake, so that all of them are told at once.

`${NAME}` is replaced here, scalar by scalar, and `KEY_file` stands for a secret's KEY: one place for both.
"""

from __future__ import annotations

from collections.abc import Mapping as Env
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

from edge.config.leaves import Leaf, closest
from edge.config.nodes import Entry, Mapping, Mark, Node, Scalar, Sequence, expand
from edge.config.problems import Problem, Wrong
from edge.config.shapes import Either, Listing, Maybe, Record, Shape, Table
from edge.config.values import Secret

Steps: TypeAlias = tuple[str, ...]
"""Where in the document: keys, and `[3]` for the fourth item of a list."""

_BROKEN: Final = object()
_MAX_SECRET: Final = 64 * 1024


def dotted(steps: Steps) -> str:
    """`("engines", "list", "[0]", "url")` -> `engines.list[0].url`."""
    return ".".join(steps).replace(".[", "[")


@dataclass(slots=True)
class Decoder:
    """Decodes one document. Afterwards `problems` holds the mistakes, and `at` knows the place of every value."""

    source: str
    folder: Path
    env: Env[str, str]
    problems: list[Problem] = field(default_factory=list)
    _marks: dict[Steps, Mark] = field(default_factory=dict)

    def record(self, shape: Record, node: Node | None) -> object | None:
        """The whole document; None if it has mistakes. An empty document (None) means all defaults."""
        value = self._value(shape, node or Mapping((), Mark(1, 1)), ())
        return None if self.problems else value

    def at(self, steps: Steps) -> Mark:
        """The place of `steps`, or of the nearest thing around it that stands in the file."""
        while steps and steps not in self._marks:
            steps = steps[:-1]
        return self._marks.get(steps, Mark(0, 0))

    def report(self, steps: Steps, wrong: Wrong, mark: Mark | None = None) -> object:
        """Note a mistake; returns the mark of a broken value."""
        mark = mark or self.at(steps)
        problem = Problem(self.source, mark.line, mark.column, dotted(steps), wrong.message, wrong.instead)
        self.problems.append(problem)
        return _BROKEN

    def _value(self, shape: Shape, node: Node, steps: Steps) -> object:
        self._marks[steps] = node.mark
        value: object = None
        match shape, node:
            case Maybe(), _:
                if not _is_null(node):
                    value = self._value(shape.inner, node, steps)
            case _, _ if _is_null(node):
                value = self.report(steps, Wrong("has no value: give it one or remove the key"))
            case Leaf(), Scalar():
                value = self._leaf(shape, node, steps)
            case Listing(), Sequence():
                items = [self._value(shape.item, item, (*steps, f"[{i}]")) for i, item in enumerate(node.items)]
                value = _BROKEN if _BROKEN in items else shape.make(items)
            case Either(), Scalar():
                value = self._leaf(shape.word, node, steps)
            case Either(), Mapping():
                value = self._fields(shape.table, node, steps)
            case Table(), Mapping():
                value = self._table(shape, node, steps)
            case Record(), Mapping():
                value = self._fields(shape, node, steps)
            case _:
                value = self.report(steps, _wrong_kind(shape, node))
        return value

    def _leaf(self, leaf: Leaf, scalar: Scalar, steps: Steps) -> object:
        expanded, missing = expand(scalar, self.env)
        if missing and "" in missing:
            return self.report(steps, Wrong("holds `${` that is no `${NAME}`", "$${ for a literal one"))
        if missing:
            names = ", ".join(dict.fromkeys(missing))
            return self.report(steps, Wrong(f"environment variable {names} is not set"))
        try:
            return leaf.read(expanded, self.folder)
        except Wrong as wrong:
            advice = "" if expanded.from_env else wrong.instead
            origin = f" (comes from {scalar.text[:80]})" if expanded.from_env else ""
            return self.report(steps, Wrong(wrong.message + origin, advice))

    def _table(self, shape: Table, node: Mapping, steps: Steps) -> object:
        found = {e.key: self._value(shape.value, e.value, (*steps, e.key)) for e in self._entries(node, steps)}
        return _BROKEN if _BROKEN in found.values() else MappingProxyType(found)

    def _entries(self, node: Mapping, steps: Steps) -> list[Entry]:
        """The entries of a table, each key once."""
        seen: dict[str, Entry] = {}
        for entry in node.entries:
            if entry.key in seen:
                first = seen[entry.key].mark.line
                self.report(
                    (*steps, entry.key), Wrong(f"stands here a second time (first in line {first})"), entry.mark
                )
            seen.setdefault(entry.key, entry)
        return list(seen.values())

    def _fields(self, shape: Record, node: Mapping, steps: Steps) -> object:
        fields = {field.name: field for field in shape.fields}
        files = {f"{field.name}_file": field for field in shape.fields if _is_secret(field.shape)}
        entries = self._entries(node, steps)
        present = {entry.key for entry in entries}
        found: dict[str, object] = {}
        for entry in entries:
            below = (*steps, entry.key)
            if entry.key in fields:
                found[entry.key] = self._value(fields[entry.key].shape, entry.value, below)
            elif entry.key in files:
                target = files[entry.key].name
                if target in present:
                    self.report(below, Wrong(f"stands beside `{target}`; one of them is enough"), entry.mark)
                else:
                    found[target] = self._secret_file(entry.value, below)
            else:
                known = (*fields, *files)
                message = f"is not a known key (known here: {', '.join(known)})"
                self.report(below, Wrong(message, closest(entry.key, known)), entry.mark)
        return self._make(shape, found, steps)

    def _make(self, shape: Record, found: dict[str, object], steps: Steps) -> object:
        for each in shape.fields:
            if each.name not in found and each.default is None:
                found[each.name] = self.report(
                    steps, Wrong(f"lacks `{each.name}`" + (f": {each.help}" if each.help else ""))
                )
        if _BROKEN in found.values():
            return _BROKEN
        try:
            return shape.make(**found)
        except ValueError as error:  # what a dataclass of another package refuses in __post_init__
            return self.report(steps, Wrong(str(error)))

    def _secret_file(self, node: Node, steps: Steps) -> object:
        """`KEY_file: PATH`: the secret is the file's content, without the newline at its end."""
        self._marks[steps] = node.mark
        if not isinstance(node, Scalar):
            return self.report(steps, Wrong("must be the path of a file"))
        scalar, missing = expand(node, self.env)
        if missing or not scalar.text:
            return self.report(steps, Wrong("must be the path of a file; is an environment variable in it not set?"))
        try:
            return _read_secret(self.folder / Path(scalar.text).expanduser())
        except Wrong as wrong:
            return self.report(steps, wrong)


def _read_secret(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a path"
        raise Wrong(f"the file cannot be read: {reason}") from None
    try:
        return Secret.parse(data.decode("ascii").rstrip("\r\n"))
    except (UnicodeDecodeError, Wrong):
        raise Wrong("the file must hold 1 to 8192 printable ASCII characters without spaces") from None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value() is None


def _is_secret(shape: Shape) -> bool:
    inner = shape.inner if isinstance(shape, Maybe) else shape
    return isinstance(inner, Leaf) and inner.secret


def _wrong_kind(shape: Shape, node: Node) -> Wrong:
    match shape:
        case Listing():
            one = node.text if isinstance(node, Scalar) and len(node.text) <= 80 else ""  # noqa: PLR2004 - one line
            return Wrong("must be a list", f"[{one}]" if one else "")
        case Table() | Record():
            return Wrong("must be a table of `key: value`")
        case Either():
            return Wrong("must be a single word or a table of `key: value`")
        case _:
            return Wrong("must be a single value, not a list or a table")
