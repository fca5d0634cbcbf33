"""The parsed document: three kinds of node, each with its place. Without PyYAML: defaults alone never load it."""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from dataclasses import dataclass
from typing import TypeAlias

from policies.json import JSON

_INTEGER = re.compile(r"[-+]?[0-9]+\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", re.ASCII)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `plain`: written without quotes. `from_env`: `text` came out of `${NAME}`: never show it."""

    text: str
    plain: bool
    mark: Mark
    from_env: bool = False

    def value(self) -> str | int | float | bool | None:
        """What the YAML 1.2 core schema makes of it.

        1.2 and not PyYAML's 1.1, in which `off`, `no` and `12:30` are not strings: nobody expects that.
        """
        if not self.plain:
            return self.text
        if self.text in _NULL:
            return None
        if self.text in _TRUE or self.text in _FALSE:
            return self.text in _TRUE
        if _INTEGER.match(self.text) and len(self.text) <= 20:  # noqa: PLR2004 - 64 bits; int() of more is slow
            return int(self.text)
        return float(self.text) if _FLOAT.match(self.text) else self.text


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value`; `mark` is the key's place."""

    key: str
    mark: Mark
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """A table; keys may repeat here, the decoder refuses it."""

    entries: tuple[Entry, ...]
    mark: Mark


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> JSON:
    """The document as other YAML 1.2 tools (editors, schema checkers) see it."""
    match node:
        case Scalar():
            return node.value()
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {entry.key: plain(entry.value) for entry in node.entries}


def expand(scalar: Scalar, env: Table[str, str]) -> tuple[Scalar, list[str]]:
    """Put environment variables into `${NAME}`; returns the scalar and the names that are not set.

    `$${` stands for a literal `${`. Values are put into the *parsed* document, so they cannot add keys to it.
    """
    if "${" not in scalar.text:
        return scalar, []
    missing: list[str] = []

    def put(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match["name"]
        if name is None or name not in env:
            missing.append(name or "")
            return ""
        return env[name]

    text = _REFERENCE.sub(put, scalar.text)
    # as if unquoted: `"${WORKERS}"` is how one writes a number there, since YAML wants the quotes
    return Scalar(text, plain=True, mark=scalar.mark, from_env=True), missing


_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?", re.ASCII)
