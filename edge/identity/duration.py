"""Durations as people type them: `45s`, `90m`, `12h`, `30d`, `2w`."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,5})([smhdw])", re.ASCII)


def seconds(text: str) -> int:
    """`text` in seconds, 0 included; ValueError with what to write instead."""
    match = _DURATION.fullmatch(text)
    if match is None:
        if text == "0":
            return 0
        raise ValueError("write a duration as a whole number and a unit: 45s, 90m, 12h, 30d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def spell(span: float) -> str:
    """`span` seconds for people, in the largest unit that still says something: `3d`, `36h`, `1h`, `90m`, `40s`."""
    for unit in ("d", "h", "m"):
        if span >= 2 * _UNITS[unit] or span == _UNITS[unit]:
            return f"{int(span // _UNITS[unit])}{unit}"
    return f"{max(0, int(span))}s"
