"""The kinds of value that hold no others: each is a sentence for the caller and a yes or no."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

from edge.intake.fields import Notes, Trail, fail
from edge.intake.strict_json import INT_HIGH, INT_LOW, measure, serialize
from policies.json import JSON

_OBJECT: Final = frozenset({dict})
_TEXT: Final = frozenset({str})
# An absolute or network reference in a schema: a validator in an engine may go and fetch it (SSRF, facts 3.2). The
# bytes are our own serialiser's, so a member `$ref` has exactly this form, and quotes inside strings never do.
_REMOTE: Final = re.compile(rb'"\$(?:dynamicRef|recursiveRef|ref)":"(?:[A-Za-z][A-Za-z0-9+.-]*+:|[/\\]{2})')


class Leaf(ABC):
    """A `fields.Kind` that lets a value through as it is, or refuses it."""

    __slots__ = ()
    hint: str
    types: frozenset[type]

    @abstractmethod
    def fits(self, value: JSON) -> bool:
        """Whether `value` may go on."""

    def read(self, value: JSON, at: Trail, _notes: Notes, /) -> JSON:
        if not self.fits(value):
            fail(at, self.hint)
        return value


class Flag(Leaf):
    """true or false, nothing that merely counts as such."""

    hint = "It must be true or false."
    types = frozenset({bool})

    def fits(self, value: JSON) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Int(Leaf):
    """An integer from `low` to `high`; neither `true` nor `5.0` is one."""

    low: int
    high: int
    hint: str = field(init=False)
    types: frozenset[type] = field(init=False, default=frozenset({int}))

    def __post_init__(self) -> None:
        span = "of 64 bits" if (self.low, self.high) == (INT_LOW, INT_HIGH) else f"from {self.low} to {self.high}"
        object.__setattr__(self, "hint", f"It must be an integer {span}.")

    def fits(self, value: JSON) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Number(Leaf):
    """An integer or a float from `low` to `high`."""

    low: float
    high: float
    hint: str = field(init=False)
    types: frozenset[type] = field(init=False, default=frozenset({int, float}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "hint", f"It must be a number from {self.low:g} to {self.high:g}.")

    def fits(self, value: JSON) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True)
class Text(Leaf):
    """A string of `low` to `high` characters, matching `form` as a whole. `high` None: the body's size is the bound."""

    low: int = 0
    high: int | None = None
    form: re.Pattern[str] | None = None
    hint: str = ""
    types: frozenset[type] = _TEXT

    def __post_init__(self) -> None:
        if not self.hint:
            size = "" if self.high is None else f" of {self.low} to {self.high} characters"
            object.__setattr__(self, "hint", f"It must be a string{size}.")

    def fits(self, value: JSON) -> bool:
        if not isinstance(value, str) or len(value) < self.low or (self.high is not None and len(value) > self.high):
            return False
        return self.form is None or self.form.fullmatch(value) is not None


class Choice(Leaf):
    """One of a few strings."""

    types = _TEXT

    def __init__(self, *values: str) -> None:
        self.values = frozenset(values)
        self.hint = f"It must be one of: {', '.join(values)}."

    def fits(self, value: JSON) -> bool:
        return isinstance(value, str) and value in self.values


class Never(Leaf):
    """What is known and not offered: refused by name, since to leave it out would answer another question."""

    def __init__(self, hint: str, *, but: JSON = None) -> None:
        self.hint = hint
        self._but = but
        self.types = frozenset({str, dict, list, bool, int, float})

    def fits(self, value: JSON) -> bool:
        return self._but is not None and value is self._but


class Free(Leaf):
    """An object that goes on as it is, within `size` bytes, `depth` levels and `nodes` parts.

    Repeated keys were refused by the parser. `schema`: it is a JSON Schema, and may hold no reference to another
    machine; elsewhere a member of that name is data like any other.
    """

    types = _OBJECT

    def __init__(self, *, size: int, depth: int, nodes: int, schema: bool) -> None:
        self.size = size
        self.depth = depth
        self.nodes = nodes
        self.schema = schema
        without = " without remote references" if schema else ""
        self.hint = f"It must be an object of at most {size} bytes and {depth} levels{without}."

    def fits(self, value: JSON) -> bool:
        if not isinstance(value, dict):
            return False
        text = serialize(value)
        if len(text) > self.size or (self.schema and _REMOTE.search(text) is not None):
            return False
        shape = measure(text, self.nodes)
        return shape.nodes <= self.nodes and shape.depth <= self.depth
