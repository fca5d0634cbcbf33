"""Plots as SVG: bars with their spread, and curves. Axes are logarithmic (contenders are powers of ten apart) but for
shares of a whole. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.pictures.draw import COLOURS, label

_WIDTH: Final = 860
_HEIGHT: Final = 300
_LEFT: Final = 70
_TOP: Final = 44
_BOTTOM: Final = 262
_FLOOR: Final = 1e-3
"""The least that is drawn."""
_ROOM: Final = 12
"""For the number on the highest share."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One contender's median, smallest and largest."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One contender's values, one for each place on the axis below."""

    name: str
    values: tuple[float, ...]


def bars(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], *, shares: bool = False) -> str:
    """Groups of bars side by side, each with its number on top; every contender has its colour in all groups. `shares`:
    of a whole, whose bars are as high as their numbers."""
    names = list(dict.fromkeys(bar.name for _, group in groups for bar in group))
    values = [bar.value for _, group in groups for bar in group]
    axis = _Shares(max(values, default=1.0)) if shares else _Axis.around(values)
    wide = (_WIDTH - _LEFT - 10) / max(1, len(groups))
    marks = axis.lines()
    for place, (words, group) in enumerate(groups):
        left = _LEFT + place * wide
        each = min(70.0, wide * 0.86 / max(1, len(group)))
        start = left + (wide - each * len(group)) / 2
        for number, bar in enumerate(group):
            marks += _bar(bar, start + number * each, each, axis, _colour(names, bar.name))
        marks.append(label(left + wide / 2, _BOTTOM + 16, words, "middle"))
    return _page(title, names, marks)


def lines(title: str, places: Sequence[str], curves: Sequence[Line]) -> str:
    """A curve per contender over the named places."""
    axis = _Axis.around([value for curve in curves for value in curve.values])
    step = (_WIDTH - _LEFT - 40) / max(1, len(places) - 1)
    names = [curve.name for curve in curves]
    marks = axis.lines()
    marks += [label(_LEFT + 10 + at * step, _BOTTOM + 16, words, "middle") for at, words in enumerate(places)]
    for curve in curves:
        points = " ".join(f"{_LEFT + 10 + at * step:.1f},{axis.y(value):.1f}" for at, value in enumerate(curve.values))
        marks.append(
            f'<polyline points="{points}" fill="none" stroke="{_colour(names, curve.name)}" stroke-width="1.8"/>'
        )
    return _page(title, names, marks)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Powers of ten from `low` to `high`."""

    low: int
    high: int

    @classmethod
    def around(cls, values: Sequence[float]) -> _Axis:
        drawn = [max(value, _FLOOR) for value in values] or [1.0]
        low = math.floor(math.log10(min(drawn)) + 1e-9)
        return cls(low, max(low + 1, math.ceil(math.log10(max(drawn)) - 1e-9)))

    def y(self, value: float) -> float:
        share = (math.log10(max(value, _FLOOR)) - self.low) / (self.high - self.low)
        return _BOTTOM - max(0.0, share) * (_BOTTOM - _TOP)

    def lines(self) -> list[str]:
        return _ruled(self, [10.0**power for power in range(self.low, self.high + 1)])


@dataclass(frozen=True, slots=True)
class _Shares:
    """From 0 to `high`, evenly."""

    high: float

    def y(self, value: float) -> float:
        return _BOTTOM - value / max(self.high, _FLOOR) * (_BOTTOM - _TOP - _ROOM)

    def lines(self) -> list[str]:
        step = next(step for step in (1, 2, 5, 10, 20) if self.high / step <= 6 or step == 20)
        return _ruled(self, [float(value) for value in range(0, int(self.high) + 1, step)])


def _ruled(axis: _Axis | _Shares, values: Sequence[float]) -> list[str]:
    marks: list[str] = []
    for value in values:
        y = axis.y(value)
        marks.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="#2c2f36"/>')
        marks.append(label(_LEFT - 6, y + 3, shown(value), "end"))
    return marks


def shown(value: float) -> str:
    """A number as short as it can be said."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"


def _bar(bar: Bar, x: float, width: float, axis: _Axis | _Shares, colour: str) -> list[str]:
    y, middle = axis.y(bar.value), x + width / 2
    low, high = axis.y(bar.low), axis.y(bar.high)
    shape = f'x="{x + 2:.1f}" y="{y:.1f}" width="{width - 4:.1f}" height="{max(1.0, _BOTTOM - y):.1f}"'
    return [
        f'<rect {shape} fill="{colour}" fill-opacity="0.8"/>',
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#ffffff"/>',
        label(middle, min(y, high) - 4, shown(bar.value), "middle"),
    ]


def _colour(names: Sequence[str], name: str) -> str:
    return COLOURS[names.index(name) % len(COLOURS)]


def _page(title: str, names: Sequence[str], marks: Sequence[str]) -> str:
    legend = [
        f'<rect x="{_LEFT + number * 110}" y="25" width="10" height="10" fill="{_colour(names, name)}"/>'
        + label(_LEFT + number * 110 + 14, 34, name, "start")
        for number, name in enumerate(names)
    ]
    head = f'<text x="{_LEFT}" y="16" fill="#ccccdc" font-size="13">{html.escape(title)}</text>'
    frame = f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="4" fill="#181b1f"/>'
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    inside = "\n".join((frame, head, *legend, *marks))
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">\n{inside}\n</svg>\n'
