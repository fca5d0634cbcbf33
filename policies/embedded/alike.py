"""Data that both engines hold alike: numbers (OPA counts in decimals of any length, regorus in 64 bits and doubles),
and regular expressions, which stand below the keys `pattern` and `patterns`.

A document (data, an input) is held to this as a whole, since what a rule takes out of it the text does not tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from policies.bundle import DATA_ROOT
from policies.embedded.expressions import unlike
from policies.json import JSON

EXACT: Final = 1 << 53
"""No number in data is larger than this, or smaller than its negative."""
PATTERN_KEYS: Final = frozenset({"pattern", "patterns"})
"""Only what stands below one of them in data may be matched with."""
_SMALL: Final = 1e-4  # nearer to 0 the engines write a fraction in different ways
_SPELLED: Final = re.compile(rb"[0-9.]{20}")


def inexact(value: JSON, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """(where, which) of the numbers in data that the engines need not hold alike."""
    match value:
        case dict():
            for key, item in value.items():
                yield from inexact(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                yield from inexact(item, (*path, str(index)))
        case bool():
            return
        case int() | float():
            if not -EXACT <= value <= EXACT or 0 < abs(value) < _SMALL:
                yield path, value
        case _:
            return


def data_fault(data: JSON) -> str | None:
    """What is wrong with the first such number or regular expression in the data, None if nothing is."""
    for path, value in inexact(data):
        where = ".".join(("data", DATA_ROOT, *path))
        return f"{where} is {value!r}: a number in data is at most 2^53, a fraction at least 0.0001"
    for path, expression in _expressions(data):
        found = unlike(expression)
        if found is not None:
            where = ".".join(("data", DATA_ROOT, *path))
            return f"{where}: {found} in a regular expression need not mean the same to all engines"
    return None


def _expressions(
    value: JSON, path: tuple[str, ...] = (), *, below: bool = False
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(where, which) of the texts below a key for regular expressions."""
    match value:
        case dict():
            for key, item in value.items():
                yield from _expressions(item, (*path, key), below=below or key in PATTERN_KEYS)
        case list():
            for index, item in enumerate(value):
                yield from _expressions(item, (*path, str(index)), below=below)
        case str() if below:
            yield path, value
        case _:
            return


def too_long(document: bytes) -> bool:
    """Whether the JSON text `document` spells a number with more digits than 64 bits have: parsers round it."""
    return bool(_SPELLED.search(document)) and any(map(_SPELLED.search, _numbers(document)))


def _numbers(document: bytes) -> list[bytes]:
    found: list[bytes] = []

    def keep(spelled: str) -> int:
        found.append(spelled.encode())
        return 0

    with suppress(ValueError):  # what is no JSON is found out by whoever reads it
        json.loads(document, parse_int=keep, parse_float=keep)
    return found
