"""The abstract values of values.py: sets of what an expression can be, how they join, and arithmetic on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from policies.embedded.alike import EXACT

Range: TypeAlias = tuple[int, int]

_MANY: Final = 1 << 32  # more items than the engine's memory holds
SUMMED: Final = 1 << 24
_DIVIDED: Final = 1 << 52  # up to here a double's quotient is never rounded onto a whole number
NUMBER: Final = frozenset({"number"})
SET: Final = frozenset({"set"})
_SCALARS: Final = frozenset({"boolean", "null", "number", "text"})
_JSON: Final = _SCALARS | {"array", "object"}


@dataclass(frozen=True, slots=True)
class Value:
    """`kinds` None: any. `range`: the numbers in it lie there, None if nobody knows. `whole`: they are whole numbers.

    `plain`: texts in it are ASCII. `outside`: it is JSON from data or claims, and so is whatever is taken out of it.
    `sent`: a caller may have chosen it, kind and all. `nesting`: 0 without a set anywhere, 1 a set of such, 2 any.
    """

    kinds: frozenset[str] | None
    range: Range | None = None
    whole: bool = False
    plain: bool = False
    outside: bool = False
    sent: bool = False
    nesting: int = 0

    @property
    def counted(self) -> Range | None:
        """The range if it can only be a whole number, None if it can be anything else."""
        return self.range if self.whole and self.kinds == NUMBER else None

    def may_be(self, kind: str) -> bool:
        """Whether it can be a `kind`."""
        return self.kinds is None or kind in self.kinds

    def is_only(self, wanted: frozenset[str]) -> bool:
        """Whether it can be nothing but `wanted`; data can be anything, but is the operator's, who answers for it."""
        return self.kinds is not None and (self.kinds <= wanted or (not self.sent and self.kinds >= _JSON))


ANYTHING: Final = Value(None, sent=True, nesting=2)
OUTSIDE: Final = Value(_JSON, (-EXACT, EXACT), outside=True)
CLAIM: Final = replace(OUTSIDE, sent=True)
PART: Final = Value(_JSON, sent=True)
"""Something without sets."""
TEXT: Final = Value(frozenset({"text"}))
PLAIN: Final = Value(frozenset({"text"}), plain=True)
TRUTH: Final = Value(frozenset({"boolean"}))
NOTHING: Final = Value(frozenset())


def number(low: int, high: int, *, whole: bool = True) -> Value:
    """A number from `low` to `high`."""
    return Value(NUMBER, (low, high), whole=whole)


def collection(kind: str, *held: Value) -> Value:
    """An array, object or set (or whatever `kind` says) that holds such values."""
    deepest = max((value.nesting for value in held), default=0)
    nesting = (1 if kind == "set" else 0) if deepest == 0 else 2
    return Value(frozenset({kind}), nesting=nesting)


def outer(value: Value) -> Value:
    """What is taken out of `value`, of which no more is known."""
    if value.outside:
        return CLAIM if value.sent else OUTSIDE
    return ANYTHING if value.nesting else PART


INDEX: Final = number(0, _MANY)


def calculated(operator: str, left: Range, right: Range) -> Value | None:
    """The result of arithmetic on whole numbers of these ranges; None if the engines need not agree on it."""
    match operator:
        case "Add":
            return number(left[0] + right[0], left[1] + right[1])
        case "Sub":
            return number(left[0] - right[1], left[1] - right[0])
        case "Mul":
            corners = [a * b for a in left for b in right]
            return number(min(corners), max(corners))
        case "Div":
            most = max(map(abs, left))
            low = 0 if left[0] >= 0 and right[0] >= 0 else -most
            return number(low, most, whole=False) if most <= _DIVIDED else None
        case "Mod" if left[0] >= 0 and right[0] >= 0:
            return number(0, left[1])
        case _:
            return None


def rounded(name: str, value: Value) -> Value:
    if value.range is None or not value.may_be("number"):
        return ANYTHING
    low, high = value.range
    if name == "abs":
        most = max(abs(low), abs(high))
        return number(0 if low < 0 < high else min(abs(low), abs(high)), most, whole=value.whole)
    return number(low, high)


def union(values: Iterable[Value]) -> Value:
    found: Iterator[Value] = iter(values)
    result = next(found, NOTHING)
    for value in found:
        result = _either(result, value)
    return result


def _either(one: Value, other: Value) -> Value:
    if one.kinds is None or other.kinds is None:
        return ANYTHING
    if NOTHING in (one, other):
        return other if one == NOTHING else one
    ranges = [value.range for value in (one, other) if "number" in (value.kinds or ())]
    known = [item for item in ranges if item is not None]
    numbers = [value for value in (one, other) if "number" in (value.kinds or ())]
    texts = [value for value in (one, other) if "text" in (value.kinds or ())]
    return replace(
        one,
        kinds=one.kinds | other.kinds,
        range=(min(low for low, _ in known), max(high for _, high in known)) if known and known == ranges else None,
        whole=bool(numbers) and all(value.whole for value in numbers),
        plain=bool(texts) and all(value.plain for value in texts),
        outside=one.outside and other.outside,
        sent=one.sent or other.sent,
        nesting=max(one.nesting, other.nesting),
    )
