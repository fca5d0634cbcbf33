"""Logical time: begins at the wall clock's, and never goes back, whatever is done to that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP: Final = 1.0
"""Seconds by which the wall clock must have left the monotonic one behind before it counts. Time synchronisation and
the moments between reading one and the other move them against each other all the time, in both directions; taking the
larger step each time would add that up (measured: 0.37 s an hour at 1,000 readings a second)."""


class Clock:
    """Advances with the monotonic clock; and with the wall clock where that runs ahead of it, by a step or because the
    machine slept (the monotonic clocks of macOS and Linux stand still then). A wall clock set back changes nothing."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._now = wall()
        self._ahead = self._offset = self._now - monotonic()

    def now(self) -> float:
        """Seconds; about those since the epoch as long as nobody sets the wall clock back."""
        monotonic = self._monotonic()
        ahead = self._wall() - monotonic
        if abs(gained := ahead - self._ahead) >= STEP:
            self._ahead = ahead
            self._offset += max(gained, 0.0)
        self._now = max(self._now, monotonic + self._offset)
        return self._now

    def ms(self) -> int:
        """The same in whole milliseconds."""
        return int(self.now() * 1000)
