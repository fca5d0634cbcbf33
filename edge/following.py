"""What of the configuration counts without a restart: keys and presets. Both or neither: one file says both."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from edge.config.settings import Settings
from edge.identity.configured import ConfiguredKey
from edge.presets.choice import Presets

_log = logging.getLogger(__name__)


class Followed:
    """For `ConfiguredKeysWatcher`, which calls `read`, and then `follow`; both block, and raise what they like.

    `keys` brings the keys in line with their entries, `changed` is told that names of presets came or went.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        keys: Callable[[Sequence[ConfiguredKey]], object],
        presets: Presets,
        changed: Callable[[], None],
    ) -> None:
        self._now = self._next = settings
        self._read = read
        self._keys = keys
        self._presets = presets
        self._changed = changed

    def read(self) -> Sequence[ConfiguredKey]:
        """The entries of the file as it is."""
        self._next = self._read()
        return self._next.keys

    def follow(self, entries: Sequence[ConfiguredKey]) -> None:
        """Do as the file says that was read last."""
        self._keys(entries)
        presets = self._next.models.presets
        if presets != self._now.models.presets:
            self._presets.take(presets)
            self._changed()
            _log.info("the presets are those of the configuration as it is now: %s", ", ".join(sorted(presets)))
        self._now = self._next
