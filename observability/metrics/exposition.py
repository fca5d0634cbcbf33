"""The metrics as text: OpenMetrics 1.0 (with exemplars), or Prometheus' older format 0.0.4. Pure.

A generator of blocks of at most `BLOCK` series each, so that whoever writes them may let others have a turn in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from observability.metrics.naming import base_name, plain, sample_name, unit_of
from observability.metrics.snapshot import Exemplar, Family, FamilySnapshot, Kind, Point

BLOCK: Final = 50
"""Series; about a millisecond of work where they are histograms."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write them."""

    content_type: str
    open: bool
    """Whether it is OpenMetrics."""


OPENMETRICS: Final = Format("application/openmetrics-text; version=1.0.0; charset=utf-8", open=True)
CLASSIC: Final = Format("text/plain; version=0.0.4; charset=utf-8", open=False)
END: Final = "# EOF\n"
"""What ends a document in OpenMetrics: without it, it was cut off."""


def wanted(accept: str) -> Format:
    """The format that an `Accept` header asks for: OpenMetrics where it is named and nothing is liked better."""
    best = {True: 0.0, False: 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in {"application/openmetrics-text", "text/plain", "text/*", "*/*"}:
            is_open = kind == "application/openmetrics-text"
            best[is_open] = max(best[is_open], _quality(parameters))
    return OPENMETRICS if best[True] > 0 and best[True] >= best[False] else CLASSIC


def _quality(parameters: list[str]) -> float:
    text = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return min(float(text), 1.0)
    except ValueError:
        return 0.0


def blocks(snapshot: FamilySnapshot, form: Format) -> Iterator[str]:
    """The text of one family."""
    family = snapshot.family
    yield _head(family, form)
    names = tuple(plain(label) for label in family.labels)
    one = _Distribution(family, names, form) if family.kind is Kind.HISTOGRAM else _Plain(family, names)
    for start in range(0, len(snapshot.points), BLOCK):
        yield "".join(map(one.lines, snapshot.points[start : start + BLOCK]))


def _head(family: Family, form: Format) -> str:
    name = base_name(family) if form.open else sample_name(family)
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    unit = unit_of(family) if form.open else ""
    kind = Kind.GAUGE if family.kind is Kind.UP_DOWN else family.kind
    lines = [f"# TYPE {name} {kind.value}\n", f"# HELP {name} {text}\n"]
    if unit:
        lines.insert(1, f"# UNIT {name} {unit}\n")
    return "".join(lines)


class _Plain:
    """Writes counters, gauges and what is between them."""

    def __init__(self, family: Family, names: tuple[str, ...]) -> None:
        self._name = sample_name(family)
        self._names = names

    def lines(self, point: Point) -> str:
        labels = _labels(self._names, point.labels)
        name = f"{self._name}{{{labels}}}" if labels else self._name
        return f"{name} {_number(point.value)}\n"


class _Distribution:
    """Writes histograms."""

    def __init__(self, family: Family, names: tuple[str, ...], form: Format) -> None:
        name = base_name(family)
        self._names = names
        self._starts = tuple(f'le="{bound}"}} ' for bound in (*map(repr, family.bounds), "+Inf"))
        self._bucket, self._sum, self._count = f"{name}_bucket{{", f"{name}_sum", f"{name}_count"
        self._exemplars = form.open

    def lines(self, point: Point) -> str:
        labels = _labels(self._names, point.labels)
        start = f"{self._bucket}{labels}," if labels else self._bucket
        ending = f"{{{labels}}} " if labels else " "
        total, written = 0, []
        examples = point.exemplars if self._exemplars else ()
        for number, (bound, value) in enumerate(zip(self._starts, point.buckets, strict=True)):
            total += value
            example = examples[number] if examples else None
            written.append(f"{start}{bound}{total}{_exemplar(example) if example else ''}\n")
        written.append(f"{self._count}{ending}{total}\n{self._sum}{ending}{_number(point.value)}\n")
        return "".join(written)


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """What applies: to Prometheus a label without a value and none at all are the same."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True) if value])


def _escaped(value: str) -> str:
    if value.isalnum():
        return value
    value = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return value.encode("utf-8", "replace").decode() if not value.isascii() else value


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _exemplar(example: Exemplar) -> str:
    span = f',span_id="{example.span_id}"' if example.span_id else ""
    return f' # {{trace_id="{example.trace_id}"{span}}} {_number(example.value)} {example.at:.3f}'
