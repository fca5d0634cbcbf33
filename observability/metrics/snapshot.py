"""What was counted, as plain values. Made at once in the event loop, read by any thread: nothing in it changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What the numbers of a family are. Counters and histograms only grow, from `FamilySnapshot.started` on.

    `UP_DOWN` is OpenTelemetry's counter that also falls, of what adds up: requests under way here and there. Prometheus
    calls that a gauge.
    """

    COUNTER = "counter"
    UP_DOWN = "up-down counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` and `labels` are OpenTelemetry's (dotted), `unit` is UCUM (`s`, `By`, `{request}`).

    `bounds` are a histogram's upper bounds (inclusive), without the last one, +Inf.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measured value and the sampled trace it comes from. `at`: seconds since the epoch; ids in hex."""

    value: float
    at: float
    trace_id: str
    span_id: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """One series. `labels` are values in the order of `Family.labels`; "" = does not apply.

    `value` is a counter's or gauge's number, and a histogram's sum. `buckets` has one more number than `Family.bounds`:
    how many values fell into each, not added up; their sum is the count. `exemplars` has one place per bucket, or is
    empty where there are none.
    """

    labels: tuple[str, ...]
    value: float
    buckets: tuple[int, ...] = ()
    exemplars: tuple[Exemplar | None, ...] = ()

    @property
    def count(self) -> int:
        """How many values a histogram has taken."""
        return sum(self.buckets)


@dataclass(frozen=True, slots=True)
class FamilySnapshot:
    """All series of one family. `started` and `at` are seconds since the epoch: since when, and until when."""

    family: Family
    points: tuple[Point, ...]
    started: float
    at: float
