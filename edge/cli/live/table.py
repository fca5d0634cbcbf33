"""Columns that fit a width. Pure. Cells may come from callers: a terminal must not obey them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policies.lifecycle.text import clean

_GAP: Final = 2
_LEAST: Final = 6
_MOST: Final = 40
_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """`right`: numbers. `rank`: the highest goes first where there is no room. `soft`: may be cut short."""

    title: str
    right: bool = False
    rank: int = 0
    soft: bool = False


def width_of(text: str) -> int:
    """Cells of a terminal that `text` takes: wide letters (UAX 11) take two, marks that combine take none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fit(text: str, width: int) -> str:
    """`text` cleaned and cut to `width` cells."""
    safe = clean(text)
    if width_of(safe) <= width:
        return safe
    kept, used = "", 0
    for c in safe:
        used += width_of(c)
        if used > width - 1:
            break
        kept += c
    return kept + _ELLIPSIS if width > 0 else ""


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The heading and the rows, none wider than `width`; columns are left out and cut until they fit."""
    kept = list(range(len(columns)))
    natural = [
        min(max(width_of(column.title), *(width_of(clean(row[at])) for row in rows), 0), _MOST)
        for at, column in enumerate(columns)
    ]
    widths = _shrunk(columns, kept, natural, width)
    while sum(widths.values()) + _GAP * (len(kept) - 1) > width and len(kept) > 1:
        kept.remove(max(kept, key=lambda at: (columns[at].rank, at)))
        widths = _shrunk(columns, kept, natural, width)
    lines = [tuple(column.title for column in columns), *rows]
    return [fit(_line(columns, row, widths), width) for row in lines]


def _shrunk(columns: Sequence[Column], kept: Sequence[int], natural: Sequence[int], width: int) -> dict[int, int]:
    """The widths of the columns that are kept; the soft ones give way, the widest first."""
    widths = {at: natural[at] for at in kept}
    over = sum(widths.values()) + _GAP * (len(kept) - 1) - width
    soft = [at for at in kept if columns[at].soft]
    while over > 0 and soft:
        at = max(soft, key=lambda at: widths[at])
        if widths[at] <= max(_LEAST, width_of(columns[at].title)):
            break
        widths[at] -= 1
        over -= 1
    return widths


def _line(columns: Sequence[Column], row: Sequence[str], widths: dict[int, int]) -> str:
    cells = []
    for at, width in widths.items():
        text = fit(row[at], width)
        pad = " " * (width - width_of(text))
        cells.append(pad + text if columns[at].right else text + pad)
    return (" " * _GAP).join(cells).rstrip()
