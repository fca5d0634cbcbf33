"""One timer for the many deadlines of a connection: setting one is a float, not a heap operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final

_STEP: Final = 0.001
"""Seconds, of libuv's clock: what is less than that ahead is now, or the loop would be asked for it again and again."""


def _nothing() -> None:
    pass


class Deadline:
    """Calls `expire` once the time set last is over.

    A connection sets and clears a deadline several times per request, nearly always for nothing. The loop's timer is
    therefore left where it is and, when it fires early, moved to where the deadline is by then.
    """

    __slots__ = ("_armed", "_expire", "_handle", "_loop", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._handle: asyncio.TimerHandle | None = None
        self._armed = inf
        self._when = inf

    def set(self, seconds: float) -> None:
        """Expire in `seconds` from now, instead of whenever it was."""
        self.at(self._loop.time() + seconds)

    def at(self, when: float) -> None:
        """Expire at `when`, in the loop's time, instead of whenever it was."""
        self._when = when
        if when < self._armed:
            self._arm()

    def clear(self) -> None:
        """Do not expire."""
        self._when = inf

    def stop(self) -> None:
        """Never expire again, and leave nothing behind: whoever is called here most likely has this too."""
        self._expire = _nothing
        self._when = self._armed = inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = self._when
        self._handle = self._loop.call_at(self._when, self._fire)

    def _fire(self) -> None:
        self._handle, self._armed = None, inf
        if self._loop.time() + _STEP < self._when:
            if self._when < inf:
                self._arm()
            return
        self._when = inf
        self._expire()
