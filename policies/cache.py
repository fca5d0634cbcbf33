"""Answers kept while nothing that the policy reads has changed. Pure.

The key is what stands at the input paths that the policy's text reads (`policies.embedded.workshop.Reads`, which says
too much rather than too little), so two requests share an answer only if the policy cannot tell them apart. One cache
belongs to one revision and is thrown away with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final, Generic, TypeAlias, TypeVar

import orjson

from policies.json import JSON, Object

V = TypeVar("V")

VOLATILE: Final = (("id",), ("trace_id",), ("time", "now_ns"), ("time", "iso"), ("time", "minute"), ("usage",))
"""What differs between two requests that are otherwise the same."""

_PLAIN: Final = 2
"""Section and field: most paths."""

Path: TypeAlias = tuple[str, ...]


class Lru(Generic[V]):
    """The last `capacity` values by key."""

    __slots__ = ("_capacity", "_values")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[bytes, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._capacity:
            self._values.popitem(last=False)


class KeyAt:
    """Makes keys: the values at certain paths, as bytes. What is not there differs from everything that can be."""

    __slots__ = ("_flat", "_getters", "_paths")

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        by_head: dict[str, list[str]] = {}
        for path in paths:
            if len(path) == _PLAIN:
                by_head.setdefault(path[0], []).append(path[1])
        # For what every input document has: one call in C for each section, instead of some lines for each value.
        self._getters = tuple((head, itemgetter(*leaves)) for head, leaves in by_head.items())
        self._flat = tuple(path for path in paths if len(path) != _PLAIN)

    def __call__(self, document: Object) -> bytes:
        """The key of `document`. orjson.JSONEncodeError for text that is no Unicode."""
        try:
            # Whatever is no object has no fields: a TypeError like the others.
            values: list[object] = [getter(document[head]) for head, getter in self._getters]  # type: ignore[arg-type]
        except (KeyError, TypeError, IndexError):
            return b"?" + orjson.dumps([_at(document, path) for path in self._paths], option=orjson.OPT_SORT_KEYS)
        values += [_at(document, path) for path in self._flat]
        return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def key_without(paths: Sequence[Path], document: Object) -> bytes:
    """The whole document except what stands at `paths`, as bytes."""
    kept = dict(document)
    for path in paths:
        head, *rest = path
        inner = kept.get(head)
        if rest and isinstance(inner, Mapping):
            kept[head] = {name: value for name, value in inner.items() if name != rest[0]}
        elif not rest:
            kept.pop(head, None)
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _at(document: JSON, path: Path) -> JSON:
    """[value], or [] if there is none."""
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return []
        document = document[name]
    return [document]
