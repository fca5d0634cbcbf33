"""Draws a board as a page of SVG from numbers: our own simple hand, not Grafana's. Pure.

Knows the kinds of panels that our boards use: stat, timeseries (lines and stacks), table, heatmap, text, traces.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.json import Object, as_list, as_object, as_str

CELL: Final = 56
LINE: Final = 26
WIDTH: Final = 24 * CELL
_GAP: Final = 6
COLOURS: Final = (
    *("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#5794f2", "#ba43a9", "#b877d9"),
    *("#508642", "#cca300", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"),
)
_MINUTE: Final = 60
_MANY: Final = 10_000
_MUCH: Final = 100
_SIZES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_STYLE: Final = """
body{margin:0;background:#111217;color:#ccccdc;font:12px 'DejaVu Sans',sans-serif}
.p{position:absolute;box-sizing:border-box;background:#181b1f;border:1px solid #2c2f36;border-radius:3px;padding:5px;
overflow:hidden}.r{position:absolute;font-size:13px;font-weight:bold;padding-top:5px}.t{font-size:12px;height:17px}
.n{font-size:25px;text-align:center;padding-top:16px}.g{color:#8e8e9a}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:1px 8px;border-bottom:1px solid #2c2f36;font-size:11px}.l{font-size:10px;line-height:12px}
pre{font:11px 'DejaVu Sans',sans-serif;white-space:pre-wrap}
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One series: its name, and (seconds, value) in order; values may be NaN."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """Its last value; NaN if there is none."""
        return self.points[-1][1] if self.points else math.nan


@dataclass(frozen=True, slots=True)
class Rows:
    """What a table's query said: labels and a number each; `name` is that of the number's column."""

    name: str
    rows: tuple[tuple[dict[str, str], float], ...]


def page(board: Object, curves: Callable[[Object], Sequence[Curve]], rows: Callable[[Object], Sequence[Rows]]) -> str:
    """The HTML of a board; `curves` and `rows` give the numbers of a panel."""
    parts = [f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><body>"]
    for panel in map(as_object, as_list(board["panels"])):
        left, top, width, height = _place(panel)
        where = f"left:{left}px;top:{top}px;width:{width - _GAP}px;height:{height - _GAP}px"
        title = html.escape(as_str(panel["title"]))
        if panel["type"] == "row":
            parts.append(f'<div class=r style="{where}">{title}</div>')
            continue
        inside = _panel(panel, width - _GAP - 12, height - _GAP - 30, curves, rows)
        parts.append(f'<div class=p style="{where}"><div class=t>{title}</div>{inside}</div>')
    return "".join(parts)


def height_of(board: Object) -> int:
    """Of its page, in pixels."""
    places = [_place(as_object(panel)) for panel in as_list(board["panels"])]
    return max(top + height for _, top, _, height in places) + _GAP


def _place(panel: Object) -> tuple[int, int, int, int]:
    place = as_object(panel["gridPos"])
    x, y, w, h = (int(str(place[side])) for side in "xywh")
    return x * CELL + _GAP, y * LINE + _GAP, w * CELL, h * LINE


def _panel(
    panel: Object,
    width: int,
    height: int,
    curves: Callable[[Object], Sequence[Curve]],
    rows: Callable[[Object], Sequence[Rows]],
) -> str:
    defaults = as_object(as_object(panel["fieldConfig"])["defaults"])
    unit = as_str(defaults["unit"])
    match panel["type"]:
        case "stat":
            found = [curve.last for curve in curves(panel)]
            text = spelled(found[0], unit) if found and math.isfinite(found[0]) else as_str(defaults.get("noValue"))
            return f"<div class=n>{html.escape(text)}</div>"
        case "timeseries":
            stacks = "stacking" in as_object(defaults.get("custom"))
            return _chart(curves(panel), unit, width, height, stacks=stacks)
        case "heatmap":
            return _heatmap(curves(panel), width, height)
        case "table":
            return _table(rows(panel), unit)
        case "text":
            return f"<pre>{html.escape(as_str(as_object(panel['options'])['content']))}</pre>"
        case _:
            return "<div class=g>(the spans of one trace, from Jaeger)</div>"


def _chart(curves: Sequence[Curve], unit: str, width: int, height: int, *, stacks: bool) -> str:
    drawn = [curve for curve in curves if any(math.isfinite(value) for _, value in curve.points)]
    if not drawn:
        return "<div class=g>No data</div>"
    drawn.sort(key=lambda curve: -max(value for _, value in curve.points if math.isfinite(value)))
    times = sorted({at for curve in drawn for at, _ in curve.points})
    legend_lines = min(3, -(-sum(len(curve.name) + 5 for curve in drawn) * 6 // width))
    tall = height - 12 * legend_lines - 4
    bases = dict.fromkeys(times, 0.0)
    paths: list[tuple[str, list[tuple[float, float, float]]]] = []
    for number, curve in enumerate(drawn):
        points = []
        for at, value in curve.points:
            if math.isfinite(value):
                base = bases[at] if stacks else 0.0
                points.append((at, base, base + value))
                bases[at] = base + value
        paths.append((COLOURS[number % len(COLOURS)], points))
    top = round_up(max((high for _, points in paths for _, _, high in points), default=1.0)) or 1.0
    left, start, end = 56, times[0], max(times[-1], times[0] + 1)

    def x(at: float) -> float:
        return left + (at - start) / (end - start) * (width - left - 4)

    def y(value: float) -> float:
        return tall - 4 - value / top * (tall - 10)

    marks = []
    for part in range(5):
        value = top * part / 4
        marks.append(f'<line x1={left} x2={width} y1={y(value):.1f} y2={y(value):.1f} stroke="#2c2f36"/>')
        marks.append(label(left - 4, y(value) + 3, spelled(value, unit), "end"))
    for colour, points in paths:
        line = " ".join(f"{x(at):.1f},{y(high):.1f}" for at, _, high in points)
        back = " ".join(f"{x(at):.1f},{y(base):.1f}" for at, base, _ in reversed(points))
        opacity = 0.35 if stacks else 0.08
        marks.append(f'<polygon points="{line} {back}" fill="{colour}" fill-opacity="{opacity}"/>')
        marks.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    names = "".join(
        f'<span style="color:{colour}">&#9644;</span> {html.escape(curve.name)} &nbsp;'
        for (colour, _), curve in zip(paths, drawn, strict=True)
    )
    return f"<svg width={width} height={tall}>{''.join(marks)}</svg><div class=l>{names}</div>"


def _heatmap(curves: Sequence[Curve], width: int, height: int) -> str:
    """`curves`: cumulative, one for each upper bound, which is its name."""
    ordered = sorted(curves, key=lambda curve: float(curve.name.replace("+Inf", "inf")))
    cells: list[list[float]] = []
    below = [0.0] * max((len(curve.points) for curve in ordered), default=0)
    for curve in ordered:
        values = [value if math.isfinite(value) else 0.0 for _, value in curve.points]
        values = [0.0] * (len(below) - len(values)) + values
        cells.append([max(each - low, 0.0) for each, low in zip(values, below, strict=True)])
        below = values
    used = [number for number, row in enumerate(cells) if max(row, default=0.0) > 0]
    if not used:
        return "<div class=g>No data</div>"
    first, last = used[0], used[-1]
    most = max(max(row) for row in cells)
    tall, wide = height / (last - first + 1), (width - 60) / len(below)
    marks = []
    for line, number in enumerate(range(last, first - 1, -1)):
        marks.append(label(54, line * tall + tall / 2 + 3, ordered[number].name + " s", "end"))
        for column, value in enumerate(cells[number]):
            if value > 0:
                shade = 0.15 + 0.85 * math.sqrt(value / most)
                marks.append(
                    f'<rect x="{60 + column * wide:.1f}" y="{line * tall:.1f}" width="{wide + 0.3:.1f}" '
                    f'height="{tall - 1:.1f}" fill="#ef843c" fill-opacity="{shade:.2f}"/>'
                )
    return f"<svg width={width} height={height}>{''.join(marks)}</svg>"


def _table(queries: Sequence[Rows], unit: str) -> str:
    merged: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for query in queries:
        for labels, value in query.rows:
            merged.setdefault(tuple(sorted(labels.items())), {})[query.name] = value
    names = sorted({name for key in merged for name, _ in key})
    columns = [query.name for query in queries]
    lines = ["<tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in (*names, *columns)) + "</tr>"]
    for key, values in sorted(merged.items(), key=lambda row: -sum(v for v in row[1].values() if math.isfinite(v))):
        told = dict(key)
        cells = [told.get(name, "") for name in names]
        cells += [spelled(values[name], unit) if name in values else "" for name in columns]
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def label(x: float, y: float, words: str, anchor: str) -> str:
    """Words at a place; `anchor`: start, middle or end."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="#8e8e9a" font-size="10">{html.escape(words)}</text>'


def round_up(value: float) -> float:
    """The next number an axis can end with; 0 for what is not above it."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999)


def spelled(value: float, unit: str) -> str:
    """A number with its unit, as short as Grafana writes it."""
    match unit:
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "s" if value >= _MINUTE:
            return f"{value / _MINUTE:.3g} min"
        case "s":
            return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
        case "bytes":
            return next((f"{value / size:.3g} {name}" for size, name in _SIZES if value >= size), f"{value:.3g} B")
        case "bool_on_off":
            return "On" if value else "Off"
        case _:
            pass
    number = f"{value / 1000:.3g} K" if value >= _MANY else f"{value:,.0f}" if value >= _MUCH else f"{value:.3g}"
    return f"{number} req/s" if unit == "reqps" else number
