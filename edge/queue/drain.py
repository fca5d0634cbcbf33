"""How fast a line moves: for `retry-after`. Pure."""

from __future__ import annotations

from typing import Final

SHORTEST, LONGEST = 1.0, 60.0
_SMOOTHING: Final = 0.2
_GUESS: Final = 1.0  # seconds per turn, until the first one is given back


class Drain:
    """The exponentially weighted mean of the seconds between two turns given back, counted only while there is demand:
    an idle hour says nothing about how fast the engine is."""

    __slots__ = ("_gap", "_since")

    def __init__(self) -> None:
        self._gap: float | None = None
        self._since: float | None = None

    def wanted(self, now: float) -> None:
        """Somebody wants a turn and does not get it at once."""
        if self._since is None:
            self._since = now

    def gave(self, now: float, *, wanted: bool) -> None:
        """A turn was given back; `wanted` says whether somebody still waits."""
        if self._since is not None:
            gap = max(now - self._since, 0.0)
            self._gap = gap if self._gap is None else self._gap + _SMOOTHING * (gap - self._gap)
        self._since = now if wanted else None

    def left(self) -> None:
        """The last one left the line."""
        self._since = None

    def seconds(self, now: float, turns: int) -> float:
        """When that many turns will have been given back; from 1 to 60 s.

        A turn that has been awaited for longer than the usual gap is evidence, too: an engine that hangs has no rate.
        """
        stuck = now - self._since if self._since is not None else 0.0
        gap = max(_GUESS if self._gap is None else self._gap, stuck)
        return min(max(gap * turns, SHORTEST), LONGEST)
