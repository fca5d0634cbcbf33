"""The kinds of value that hold others, beside `fields.Record`. Each refuses whatever it does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from edge.intake.fields import Kind, Notes, Record, Trail, fail
from policies.json import JSON


def type_of(value: JSON) -> str | None:
    """What the member `type` of an object says, None if that is no text or there is none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


class Array:
    """A list of `low` to `high` elements; those that `skip` picks are left out and named `[]`."""

    types = frozenset({list})

    def __init__(self, item: Kind, low: int, high: int, *, skip: Callable[[JSON], bool] | None = None) -> None:
        self.item = item
        self._low = low
        self._high = high
        self._skip = skip
        self.hint = f"It must be a list of {low} to {high} elements."

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        if not isinstance(value, list) or not self._low <= len(value) <= self._high:
            fail(at, self.hint)
        here: Trail = (at, "[]")
        read = self.item.read
        if self._skip is None:
            return [read(item, here, notes) for item in value]
        kept: list[JSON] = []
        for item in value:
            if self._skip(item):
                notes.drop(at, "[]")
            else:
                kept.append(read(item, here, notes))
        return kept


class Map:
    """An object whose keys are the caller's: at most `high`, each matching `key`."""

    types = frozenset({dict})

    def __init__(self, key: re.Pattern[str], item: Kind, high: int, hint: str) -> None:
        self._key = key
        self._item = item
        self._high = high
        self.hint = hint

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        if not isinstance(value, dict) or len(value) > self._high:
            fail(at, self.hint)
        if not all(map(self._key.fullmatch, value)):
            fail(at, self.hint)
        return {name: self._item.read(item, at, notes) for name, item in value.items()}


class Union:
    """One of several kinds, told apart by type; lists by the type of their first element (so they are of one kind)."""

    def __init__(self, *kinds: Kind, hint: str) -> None:
        self._kinds = kinds
        self.types: frozenset[type] = frozenset().union(*(kind.types for kind in kinds))
        self.hint = hint

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        kind = next((kind for kind in self._kinds if type(value) in kind.types and self._fits(kind, value)), None)
        if kind is None:
            fail(at, self.hint)
        return kind.read(value, at, notes)

    @staticmethod
    def _fits(kind: Kind, value: JSON) -> bool:
        if isinstance(kind, Array) and isinstance(value, list) and value:
            return type(value[0]) in kind.item.types
        return True


class Tagged:
    """An object whose member `tag` says which record it is; one without it is a `default`, if that is given."""

    types = frozenset({dict})

    def __init__(self, tag: str, cases: Mapping[str, Record], *, default: str | None = None) -> None:
        self._tag = tag
        self._default = default
        self._cases = dict(cases)
        self.hint = f"It must be an object whose {tag} is one of: {', '.join(cases)}."

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        tag = value.get(self._tag, self._default) if isinstance(value, dict) else None
        case = self._cases.get(tag) if isinstance(tag, str) else None
        if case is None:
            fail(at, self.hint)
        return case.read(value, at, notes)
