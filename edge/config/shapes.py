"""The type hints of a settings dataclass, read once into a `Shape` that decoder, schema and `show` walk.

    float -> seconds (a bare number if the field's name ends in _rate, _burst, _share or days)
    int -> a whole number (a size if the field's name ends in _bytes)
    bool, str, Path, Enum, Literal, Bind, Secret, CIDR network, X | None
    tuple[X, ...], frozenset[X] -> list     Mapping[str, X] -> table     a dataclass -> table with known keys

A field made with `setting()` may name its Leaf (with a range, or other units) and carries the help text. Dataclasses of
other packages (ListenerLimits, Issuer) need nothing: their bare fields have the meaning above, and what their
`__post_init__` refuses with ValueError becomes a problem at the right place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Final, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from edge.config import leaves
from edge.config.leaves import Leaf
from edge.config.values import Bind, Secret

T = TypeVar("T")
_META: Final = "edge.config"


@dataclasses.dataclass(frozen=True, slots=True)
class Maybe:
    """`X | None`: may be null."""

    inner: Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A list; `make` builds the value from the items."""

    item: Shape
    make: Callable[[list[object]], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table with free keys."""

    value: Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Either:
    """One of a few words, or a table that says it in full."""

    word: Leaf
    table: Record


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One key of a Record; `default` is called only if the key is absent, None = the key is required."""

    name: str
    shape: Shape
    default: Callable[[], object] | None
    help: str


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A table with known keys; `make` takes them as keyword arguments."""

    name: str
    make: Callable[..., object]
    fields: tuple[Field, ...]
    help: str


Shape: TypeAlias = Leaf | Maybe | Listing | Table | Either | Record


@dataclasses.dataclass(frozen=True, slots=True)
class _Meta:
    help: str
    leaf: Leaf | None


def setting(default: T, help_text: str, *, leaf: Leaf | None = None) -> T:
    """A field with a default, its help text, and, where the type alone does not say it, its Leaf."""
    metadata = {_META: _Meta(help_text, leaf)}
    if isinstance(default, Mapping):
        field: T = dataclasses.field(default_factory=lambda: default, metadata=metadata)
    else:
        field = dataclasses.field(default=default, metadata=metadata)
    return field


def required(help_text: str, *, leaf: Leaf | None = None) -> dict[str, object]:
    """The metadata of a field without default: `name: str = field(metadata=required("..."))`."""
    return {_META: _Meta(help_text, leaf)}


@cache
def shape_of(cls: type) -> Record:
    """The Record of a dataclass. Raises TypeError for a type hint that no scalar, list or table stands for."""
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls!r} is not a dataclass")
    hints = get_type_hints(cls)
    fields = tuple(_field(field, hints[field.name]) for field in dataclasses.fields(cls) if field.init)
    return Record(cls.__name__, cls, fields, (cls.__doc__ or "").split("\n")[0].strip())


def _field(field: dataclasses.Field[object], hint: object) -> Field:
    meta = field.metadata.get(_META, _Meta("", None))
    default: Callable[[], object] | None = None
    if field.default is not dataclasses.MISSING:
        value = field.default
        default = lambda: value  # noqa: E731 - a def would need a name for nothing
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory
    by_name = _BY_SUFFIX.get(field.name.rpartition("_")[2]) if _is_number(hint) else None
    return Field(field.name, _shape(hint, meta.leaf or by_name), default, meta.help)


def _is_number(hint: object) -> bool:
    return set(get_args(hint) or (hint,)) <= {int, float, NoneType}


def _shape(hint: object, leaf: Leaf | None) -> Shape:
    """`leaf` replaces the innermost scalar of `hint`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return _union(arguments, leaf)
    if origin is Literal:
        return leaf or leaves.one_of(tuple(str(word) for word in arguments))
    if origin in {tuple, frozenset}:
        return Listing(_shape(arguments[0], leaf), origin)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Table(_shape(arguments[1], leaf))
    return leaf or _scalar(hint)


def _union(arguments: tuple[object, ...], leaf: Leaf | None) -> Shape:
    rest = tuple(argument for argument in arguments if argument is not NoneType)
    if set(rest) == {IPv4Network, IPv6Network}:
        inner: Shape = leaf or leaves.NETWORK
    elif len(rest) == 1:
        inner = _shape(rest[0], leaf)
    elif get_origin(rest[0]) is Literal and isinstance(rest[1], type) and len(rest) == 2:  # noqa: PLR2004 - a word and a table
        inner = Either(leaf or leaves.one_of(get_args(rest[0])), shape_of(rest[1]))
    else:
        raise TypeError(f"no setting can be one of {rest!r}")
    return inner if len(rest) == len(arguments) else Maybe(inner)


_YEAR: Final = 366 * 86400.0  # an event loop cannot set a timer of 1e300 seconds
_BY_SUFFIX: Final = {
    "bytes": leaves.size(0, 1 << 40),
    "rate": leaves.number(),
    "burst": leaves.number(),
    "share": leaves.number(),
    "days": leaves.number(),
}
_SCALARS: Final[dict[object, Leaf]] = {
    bool: leaves.flag(),
    int: leaves.integer(0, 2**31 - 1),
    float: leaves.seconds(0, _YEAR),
    str: leaves.text(),
    Path: leaves.path(),
    Bind: leaves.BIND,
    Secret: leaves.secret(),
}


def _scalar(hint: object) -> Shape:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return leaves.choice(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return shape_of(hint)
    raise TypeError(f"no setting can be a {hint!r}")
