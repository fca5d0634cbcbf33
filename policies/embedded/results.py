"""What constants, fields of the input and calls of builtins give: the ground that values.py stands on."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from policies.embedded.graph import Path
from policies.embedded.known import has_open_keys, kind_at, kind_of_value, range_at, text_at
from policies.embedded.lattice import (
    ANYTHING,
    CLAIM,
    INDEX,
    PART,
    PLAIN,
    TEXT,
    TRUTH,
    Value,
    collection,
    number,
)
from policies.embedded.tree import Assign, Const

RESULTS: Final = MappingProxyType(
    {
        "count": INDEX,
        "indexof": number(-1, 1 << 32),
        "time.now_ns": number(0, 1 << 62),
        **dict.fromkeys(("lower", "upper"), PLAIN),  # of plain texts only (agreement.py)
        **dict.fromkeys(
            (
                *(
                    "base64.encode",
                    "base64url.encode",
                    "base64url.encode_no_pad",
                    "hex.encode",
                    "concat",
                    "format_int",
                    "replace",
                    "regex.replace",
                    "sprintf",
                    "strings.reverse",
                    "substring",
                    "trim",
                ),
                *("trim_left", "trim_prefix", "trim_right", "trim_space", "trim_suffix", "type_name"),
            ),
            TEXT,
        ),
        **dict.fromkeys(
            (
                *("contains", "endswith", "glob.match", "is_array", "is_boolean", "is_null", "is_number", "is_object"),
                *("is_set", "is_string", "net.cidr_contains", "regex.match", "startswith"),
                *("strings.any_prefix_match", "strings.any_suffix_match"),
            ),
            TRUTH,
        ),
    }
)
COLLECTIONS: Final = MappingProxyType(
    {
        **dict.fromkeys(
            ("array.concat", "array.reverse", "array.slice", "numbers.range", "numbers.range_step", "sort", "split"),
            "array",
        ),
        **dict.fromkeys(("graph.reachable", "object.keys"), "set"),
        **dict.fromkeys(("object.filter", "object.remove", "object.union", "object.union_n"), "object"),
    }
)
KEEPS_ITEMS: Final = MappingProxyType({"array.concat": 2, "array.reverse": 1, "array.slice": 1, "sort": 1})
"""Builtins that give items of so many first arguments."""
_OBJECT: Final = frozenset({"object"})
_CLAIMS: Final = 2  # steps to caller.claims, always an object; whatever is in it can be anything
ROUNDED: Final = frozenset({"round", "floor", "ceil"})


def written(expression: Const | Assign) -> Value:
    """The value of what stands there as such."""
    match expression:
        case Assign() | Const(value=bool()):
            return TRUTH
        case Const(value=int() | float() as value):
            return number(int(value // 1), int(-(-value // 1)), whole=value == int(value))
        case Const(value=str() as text):
            return PLAIN if text.isascii() else TEXT
        case Const(value=other):
            return collection(kind_of_value(other))


def field(path: Path, steps: int) -> Value:
    """A field of the input, or an item of one."""
    if has_open_keys(path):
        return replace(CLAIM, kinds=_OBJECT) if steps == _CLAIMS else CLAIM
    kind = kind_at(path)
    if steps == len(path) + 1 and kind == "array":
        return text(path)
    if steps > len(path) or kind is None:
        return PART
    if kind == "number":
        low, high, whole = range_at(path)
        return number(low, high, whole=whole)
    return text(path) if kind == "text" else collection(kind)


def text(path: Path) -> Value:
    """Of the text at `path` of the input, or of an item of the list there."""
    found = text_at(path)
    return ANYTHING if found is None else PLAIN if found == "plain" else TEXT
