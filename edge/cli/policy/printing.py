"""What people read: tables, times, progress; and JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from policies.json import JSON
from policies.lifecycle.text import clean

SHORT = 12


def print_json(value: Mapping[str, JSON] | Sequence[Mapping[str, JSON]]) -> None:
    """To standard output, for scripts."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Aligned columns; the first row is the heading. Cells may come from callers: a terminal must not obey them."""
    safe = [tuple(clean(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    for row in safe:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def short(revision: str | None) -> str:
    """A revision as people are shown it; None is the default policy."""
    return "default" if revision is None else revision[:SHORT]


def moment(at: float) -> str:
    """Seconds since the epoch as UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(number: int, noun: str) -> str:
    """`1 decision`, `2 decisions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Meter:
    """How far a replay has come: on standard error, and only where a person looks."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._any = False

    def __call__(self, done: int) -> None:
        if self._shown:
            self._any = True
            print(f"\r{done} recorded decisions replayed", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._any:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
