"""Settings -> plain JSON, as one would write them in the file; secrets become `***`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from edge.config.leaves import Leaf
from edge.config.settings import Settings
from edge.config.shapes import Either, Listing, Maybe, Record, Shape, Table, shape_of
from policies.json import JSON, Object

# A database URL may carry a password: `postgresql://user:PASSWORD@host/`. Greedy, since a password may hold an `@`.
_PASSWORD: Final = re.compile(r"(?<=://)([^/?#:@]*):[^/?#]*@")


def effective(settings: Settings) -> Object:
    """Every value in force, defaults included."""
    document = shown(shape_of(Settings), settings)
    return document if isinstance(document, dict) else {}


def shown(shape: Shape, value: object) -> JSON:
    """One value of `shape` as JSON."""
    match shape:
        case Maybe():
            return None if value is None else shown(shape.inner, value)
        case Leaf():
            text = shape.show(value)
            return _PASSWORD.sub(r"\1:***@", text) if isinstance(text, str) else text
        case Listing():
            items = (
                value if isinstance(value, tuple) else sorted(value, key=str) if isinstance(value, frozenset) else ()
            )
            return [shown(shape.item, item) for item in items]
        case Either():
            return shown(shape.word if isinstance(value, str) else shape.table, value)
        case Table():
            return {str(k): shown(shape.value, v) for k, v in value.items()} if isinstance(value, Mapping) else {}
        case Record():
            return {field.name: shown(field.shape, getattr(value, field.name)) for field in shape.fields}
