"""What of the configuration counts without a restart: keys and presets. Both or neither: one file says both.

Keys are known by their new presets a moment after they are written down (edge/identity/watcher.py). So new presets
come before that, and old ones go after it: a valid key always finds the preset that it is known to be bound to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from edge.config.presets import Preset
from edge.config.settings import Settings
from edge.identity.configured import ConfiguredKey

_log = logging.getLogger(__name__)
_GRACE: Final = 1.0
"""Seconds within which changed keys are known: the directory of keys looks five times a second."""
Table: TypeAlias = Mapping[str, Preset]


class Followed:
    """For `ConfiguredKeysWatcher`, which calls `read`, and then `follow`; both block, and raise what they like.

    `keys` brings the keys in line with their entries; `presets` is given those there are, and in how many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        keys: Callable[[Sequence[ConfiguredKey]], object],
        presets: Callable[[Table, float], None],
    ) -> None:
        self._now = self._next = settings
        self._read = read
        self._keys = keys
        self._presets = presets

    def read(self) -> Sequence[ConfiguredKey]:
        """The entries of the file as it is."""
        self._next = self._read()
        return self._next.keys

    def follow(self, entries: Sequence[ConfiguredKey]) -> None:
        """Do as the file says that was read last."""
        old, new = self._now.models.presets, self._next.models.presets
        if new == old:
            self._keys(entries)
        else:
            self._change(entries, old, new)
        self._now = self._next

    def _change(self, entries: Sequence[ConfiguredKey], old: Table, new: Table) -> None:
        self._presets({**new, **old}, 0.0)  # as they were, and what keys may need
        try:
            self._keys(entries)
        except BaseException:
            self._presets(old, 0.0)
            raise
        self._presets({**old, **new}, 0.0)
        self._presets(new, _GRACE)
        _log.info("the presets are those of the configuration as it is now: %s", ", ".join(sorted(new)))


class Switch:
    """Has `take` called with the presets that count, in the loop: no request is then in the middle of choosing its own.
    What is to count later is forgotten where something else comes before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, take: Callable[[Table], None]) -> None:
        self._loop = loop
        self._take = take
        self._later: asyncio.TimerHandle | None = None

    def __call__(self, presets: Table, seconds: float) -> None:
        """From any thread: in so many seconds there are these `presets`."""
        _ = self._loop.call_soon_threadsafe(self._set, presets, seconds)

    def _set(self, presets: Table, seconds: float) -> None:
        if self._later is not None:
            self._later.cancel()
        if seconds:
            self._later = self._loop.call_later(seconds, self._take, presets)
        else:
            self._take(presets)
