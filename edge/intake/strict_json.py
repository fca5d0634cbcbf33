"""Bytes -> one strict JSON object, or a refusal; and the gateway's own bytes back.

Parsers disagree, and an engine's may not be ours (facts/security.md F2, 3.3): Go takes the last duplicate and merges
objects, simdjson takes the first; Python's `json.loads` guesses UTF-16 and takes NaN. So only what every parser reads
alike gets in, and what goes on to an engine is `serialize(document)`, never the caller's bytes.

`orjson` is the parser: of JSONTestSuite's 188 `n_` files it accepts none (facts 3.3). It is strict on UTF-8, BOM, lone
surrogates, NaN, trailing text and infinite numbers; `tests/edge/intake/test_strict_json.py` pins each of these. Three
things it does not do are done here on the *outside*, the text with its strings taken out:

* nesting and number of parts, before any object is built (F11: 8 MiB of `[{},{},...]` costs 203 MiB);
* repeated keys: every member has one colon outside strings, so fewer members than colons means a repeated key;
* integers beyond 64 bits, which orjson would turn into floats (and could not write back as they were).

Every step is a linear C loop on bytes. Measured here (Python 3.11.7, orjson 3.13.0, one core, whole `parse`):

    chat of 177 B                             6 us
    agent body of 50 KB                       0.3 ms   (orjson alone 0.05, json with an object_pairs_hook 0.18)
    agent body of 1 MiB                       7.7 ms   (1.3, 3.8)
    agent body of 16 MiB                      0.12 s   (0.05, 0.09)
    16 MiB with one image as data URL         73 ms
    16 MiB of escaped quotes, the worst seen  0.13-0.19 s
    16 MiB of `{},{},...`, refused            68 ms

`json` with a hook would be no slower for small bodies, but has no bound on memory, takes lone surrogates and NaN, and
would need most of these scans as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import orjson

from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

INT_LOW: Final = -(2**63)
INT_HIGH: Final = 2**63 - 1

REPEATED_KEY: Final = "A key is repeated."
NOT_AN_OBJECT: Final = "The top level must be an object."
NUMBER_TOO_LONG: Final = "A number has too many digits or does not fit 64 bits."


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may be: levels of nesting, parts (values and keys), characters of one number."""

    depth: int = 64
    nodes: int = 200_000
    number: int = 64

    def __post_init__(self) -> None:
        if min(self.depth, self.nodes, self.number) < 1:
            raise ValueError("depth, nodes and number must be at least 1")


LIMITS: Final = Limits()


class Shape(NamedTuple):
    """A document's outline: nesting, parts (an upper bound of values and keys), members, the text outside strings."""

    depth: int
    nodes: int
    members: int
    outside: bytes


# Inside a string a backslash may only be followed by one of "\/bfnrtu, so keeping these keeps every escape whole while
# nearly all other text goes; whitespace goes too. In a malformed document this may misread what follows the fault, but
# orjson builds nothing after it.
_KEEP: Final = frozenset(b'"\\[]{},:0123456789+-.eE/bfnrtu')
_DROP: Final = bytes(c for c in range(256) if c not in _KEEP)
_NOT_BRACKETS: Final = bytes(c for c in range(256) if c not in b"[]{}")
_STEP: Final = bytes(1 if c in b"[{" else 255 for c in range(256))  # 255 is -1 read as a signed byte
_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG: Final = b"0" * 19  # 2**63 has 19 digits
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]*+")


def bounded(body: bytes, *, nodes: int, depth: int) -> tuple[JSON, Shape]:
    """Any JSON value of at most so many nodes, so deep; Refusal as `parse`. What numbers and keys hold is not looked
    at."""
    shape = measure(body, nodes)
    if shape.nodes > nodes or shape.depth > depth:
        raise Refusal(Reason.DOCUMENT_TOO_COMPLEX)
    try:
        document: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        # The cause is dropped: its message and its `doc` hold the caller's bytes.
        raise Refusal(Reason.INVALID_JSON) from None
    return document, shape


def parse(body: bytes, limits: Limits = LIMITS) -> Object:
    """The object that `body` is. Refusal(DOCUMENT_TOO_COMPLEX) over a limit, Refusal(INVALID_JSON) otherwise."""
    document, shape = bounded(body, nodes=limits.nodes, depth=limits.depth)
    if not isinstance(document, dict):
        raise Refusal(Reason.INVALID_JSON, hint=NOT_AN_OBJECT)
    if _LONG in shape.outside.translate(_ZEROS):
        _check_numbers(shape.outside, limits.number)
    if _members(document) != shape.members:
        raise Refusal(Reason.INVALID_JSON, hint=REPEATED_KEY)
    return document


def serialize(document: JSON) -> bytes:
    """Compact UTF-8. Takes whatever `parse` gave and what is built from it (integers of 64 bits, depth <= 254)."""
    return orjson.dumps(document)


def measure(body: bytes, nodes: int) -> Shape:
    """The outline of `body`, exact for well-formed JSON; gives up counting (depth 0) once it has more than `nodes`."""
    text = body.translate(None, _DROP)
    # Pairs first: of a run of backslashes what is left over then escapes the quote after it.
    text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = text.count(b'"') // 2
    if strings > nodes:  # before the split: it makes an object per string
        return Shape(0, strings, 0, b"")
    outside = b"".join(text.split(b'"')[::2])
    members = outside.count(b":")
    count = 1 + members + outside.count(b",") + outside.count(b"[") + outside.count(b"{")
    if count > nodes:
        return Shape(0, count, members, b"")
    return Shape(_depth(outside), count, members, outside)


def _depth(outside: bytes) -> int:
    brackets = outside.translate(_STEP, _NOT_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def _members(document: Object) -> int:
    """How many members all objects of the document have together."""
    count = 0
    left: list[JSON] = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            count += len(value)
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return count


def _check_numbers(outside: bytes, longest: int) -> None:
    for match in _NUMBER.finditer(outside):
        token = match.group()
        if len(token) > longest:
            raise Refusal(Reason.INVALID_JSON, hint=NUMBER_TOO_LONG)
        if token.lstrip(b"-").isdigit() and not INT_LOW <= int(token) <= INT_HIGH:
            raise Refusal(Reason.INVALID_JSON, hint=NUMBER_TOO_LONG)
