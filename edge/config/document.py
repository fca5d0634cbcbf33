"""Text -> nodes, from PyYAML's *events*: nothing is constructed, so there is no tag to abuse and no alias to blow up.

Tags (`!!python/object`), anchors and aliases ("billion laughs": 10 lines that expand to gigabytes), a second document,
keys that are not plain names, and nesting beyond 32 levels are refused. The settings need none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml

from edge.config.nodes import Entry, Mapping, Mark, Node, Scalar, Sequence
from edge.config.problems import ConfigError, Problem

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32

# The C parser is ten times as fast and comes with every wheel; a source build without libyaml lacks it.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(data: bytes, source: str) -> Node | None:
    """The document in `data`, None if it is empty. Raises ConfigError for anything that is not one plain document."""
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(source, 0, 0, "", f"is larger than {MAX_BYTES} bytes")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise ConfigError([Problem(source, line, column, "", "is not UTF-8")]) from None
    builder = _Builder(source)
    try:
        return builder.document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise ConfigError([Problem(source, line, column, "", f"is not valid YAML: {error.problem}")]) from None
    except yaml.YAMLError:
        raise ConfigError([Problem(source, 0, 0, "", "holds a character that YAML does not allow")]) from None


class _Builder:
    """Builds the tree from events; recursion is bounded by MAX_DEPTH."""

    def __init__(self, source: str) -> None:
        self._source = source

    def document(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        seen = False
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self._refuse(event, "a second document begins here; only one is read")
                seen = True
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, events, 1)
        if isinstance(root, Scalar) and root.value() is None:
            return None
        return root

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        mark = _mark(event)
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"is nested more than {MAX_DEPTH} levels deep")
        self._check(event)
        match event:
            case yaml.ScalarEvent():
                # PyYAML: style is None for plain scalars, or "" from the C parser
                return Scalar(str(event.value), not event.style, mark)
            case yaml.SequenceStartEvent():
                return Sequence(tuple(self._items(events, depth)), mark)
            case yaml.MappingStartEvent():
                return Mapping(tuple(self._entries(events, depth)), mark)
            case _:
                raise self._refuse(event, "is not a value")

    def _items(self, events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self._node(event, events, depth + 1)

    def _entries(self, events: Iterator[yaml.Event], depth: int) -> Iterator[Entry]:
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            self._check(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refuse(event, "a key must be a plain name")
            yield Entry(str(event.value), _mark(event), self._node(next(events), events, depth + 1))

    def _check(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(event, "aliases (`*name`) are not read; repeat the value")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise self._refuse(event, "anchors (`&name`) are not read; repeat the value")
        if getattr(event, "tag", None) is not None:
            raise self._refuse(event, "tags (`!name`) are not read; every value's type is known")

    def _refuse(self, event: yaml.Event, message: str) -> ConfigError:
        mark = _mark(event)
        return ConfigError([Problem(self._source, mark.line, mark.column, "", message)])


def _mark(event: yaml.Event) -> Mark:
    mark = event.start_mark
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(0, 0)
