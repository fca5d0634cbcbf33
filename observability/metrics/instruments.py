"""Counters and histograms of one process: a dictionary each, bounded, for the event loop's thread alone.

The SDK's cost 27 us per histogram and value, these one (facts/policy-and-telemetry.md B3). Labels are a tuple of texts
in the order of `Family.labels`.

Tuples are made of lists, whose length is known: those that CPython makes of a generator are cut to their length, and
each goes, once free, into a list of 2,000 of that length which only fills. They are read every few seconds for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, TypeAlias

from observability.metrics.catalogue import GROWING, MOST_SERIES, OTHER
from observability.metrics.snapshot import Exemplar, Family, Kind, Point

Labels: TypeAlias = tuple[str, ...]
_SPARE: Final = 4
"""A quarter of what a family may hold is there beyond that, for series without who and which model."""


class Mark(NamedTuple):
    """A sampled trace that a value belongs to; `at` seconds since the epoch."""

    at: float
    trace_id: str
    span_id: str = ""


class _Overflow:
    """Where updates go that find no room: into the series without who and which model, of which there are few, so that
    no caller can make failures vanish; a family that has too many of those, too, puts all into one."""

    __slots__ = ("_many", "_most", "_shared")

    def __init__(self, family: Family, most: int) -> None:
        self._many = tuple(label in GROWING for label in family.labels)
        self._most = most + most // _SPARE if any(self._many) else 0
        self._shared: Labels = (OTHER,) * len(family.labels)

    def __call__(self, labels: Labels, series: Collection[Labels]) -> Labels:
        few = tuple(OTHER if many and value else value for many, value in zip(self._many, labels, strict=True))
        return few if self._most and (len(series) < self._most or few in series) else self._shared


class Counter:
    """Numbers that grow."""

    __slots__ = ("_most", "_overflow", "_series", "dropped", "family")

    def __init__(self, family: Family, most: int = MOST_SERIES) -> None:
        """`most`: how many series there may be; ValueError for another kind of family."""
        _require(family, Kind.COUNTER)
        self.family: Final = family
        self.dropped = 0
        """Updates that found no room for a series of their own."""
        self._most = most
        self._series: dict[Labels, float] = {}
        self._overflow = _Overflow(family, most)

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Add to a series; `amount` is never negative."""
        series = self._series
        if labels in series:
            series[labels] += amount
        elif len(series) < self._most:
            series[_fitting(self.family, labels)] = amount
        else:
            self.dropped += 1
            labels = self._overflow(labels, series)
            series[labels] = series.get(labels, 0) + amount

    def declare(self, labels: Labels) -> None:
        """Have the series at 0, so that its first increase is one."""
        self.add(labels, 0)

    def points(self) -> tuple[Point, ...]:
        """All series as they are now."""
        return tuple([Point(labels, value) for labels, value in self._series.items()])


class _Row:
    """One series of a histogram."""

    __slots__ = ("buckets", "examples", "total")

    def __init__(self, size: int) -> None:
        self.buckets = [0] * size
        self.total = 0.0
        self.examples: list[tuple[float, Mark] | None] | None = None


class Histogram:
    """How values are distributed."""

    __slots__ = ("_bounds", "_most", "_overflow", "_series", "dropped", "family")

    def __init__(self, family: Family, most: int = MOST_SERIES) -> None:
        """As Counter."""
        _require(family, Kind.HISTOGRAM)
        self.family: Final = family
        self.dropped = 0
        self._most = most
        self._bounds = family.bounds
        self._series: dict[Labels, _Row] = {}
        self._overflow = _Overflow(family, most)

    def observe(self, labels: Labels, value: float, mark: Mark | None = None) -> None:
        """Take one value, not negative, in the family's unit; `mark` if its trace is kept."""
        row = self._series.get(labels)
        if row is None:
            row = self._new(labels)
        at = bisect_left(self._bounds, value)
        row.buckets[at] += 1
        row.total += value
        if mark is not None:
            if row.examples is None:
                row.examples = [None] * len(row.buckets)
            row.examples[at] = value, mark

    def declare(self, labels: Labels) -> None:
        """Have the series, without a value yet."""
        if labels not in self._series:
            _ = self._new(labels)

    def points(self) -> tuple[Point, ...]:
        """All series as they are now."""
        found = [
            Point(labels, row.total, tuple(row.buckets), tuple([_exemplar(each) for each in row.examples or ()]))
            for labels, row in self._series.items()
        ]
        return tuple(found)

    def _new(self, labels: Labels) -> _Row:
        if len(self._series) >= self._most:
            self.dropped += 1
            labels = self._overflow(labels, self._series)
            if labels in self._series:
                return self._series[labels]
        row = self._series[_fitting(self.family, labels)] = _Row(len(self._bounds) + 1)
        return row


def bounded(family: Family, values: Iterable[tuple[Labels, float]], most: int = MOST_SERIES) -> tuple[Point, ...]:
    """What was read just now as points: the first `most` labels, and the sum of the others as one."""
    found: dict[Labels, float] = {}
    other = 0.0
    for labels, value in values:
        if len(found) < most or labels in found:
            found[_fitting(family, labels)] = value
        else:
            other += value
    if other:
        found[(OTHER,) * len(family.labels)] = other
    return tuple([Point(labels, value) for labels, value in found.items()])


def _exemplar(example: tuple[float, Mark] | None) -> Exemplar | None:
    return None if example is None else Exemplar(example[0], *example[1])


def _require(family: Family, kind: Kind) -> None:
    if family.kind is not kind:
        raise ValueError(f"{family.name} is no {kind.value}")


def _fitting(family: Family, labels: Labels) -> Labels:
    if len(labels) != len(family.labels):
        raise ValueError(f"{family.name} has {len(family.labels)} labels")
    return labels
