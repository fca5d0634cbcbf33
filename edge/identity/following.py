"""Follows the configuration's `keys` and their secret files, so that an edit counts without a restart.

Only `keys` is followed, and the presets with them (edge/following.py): the rest of the configuration is read at the
start. What cannot be read, or does not fit together (a file that is half written, an entry without its file), changes
nothing: the keys stay as they were.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from edge.identity.configured import ConfiguredKey

POLL_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)

Signature: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class ConfiguredKeysWatcher:
    """`read` gives the entries of today, `follow` brings the keys in line with them; both block and raise what they
    like. `file` is where the entries stand; None = nowhere, then only the secret files are watched."""

    def __init__(
        self,
        entries: Sequence[ConfiguredKey],
        file: Path | None,
        read: Callable[[], Sequence[ConfiguredKey]],
        follow: Callable[[Sequence[ConfiguredKey]], object],
        *,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._file = file
        self._read = read
        self._follow = follow
        self._poll = poll
        self._files = self._of(entries)
        # As of now, before they are read for the first time: what changes from here on is seen.
        self._taken = self._seen = _signature(self._files)
        self._failed = ""

    async def run(self) -> None:
        """Watch until cancelled; returns if there is nothing to watch."""
        while self._files:
            await asyncio.sleep(self._poll)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """One look, blocking."""
        found = _signature(self._files)
        settled, self._seen = found == self._seen, found
        # An editor, or a deployment, writes one file after the other: they are read once they have kept still.
        if found == self._taken or not settled:
            return
        try:
            entries = self._read()
            files = self._of(entries)
            if files != self._files:
                self._files = files
                found = self._seen = _signature(files)
            self._follow(entries)
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys stay as they are and the watch goes on
            self._fails(error)
            return
        self._taken = found
        if self._failed:
            _log.warning("keys and presets of the configuration are followed again")
        self._failed = ""

    def _of(self, entries: Sequence[ConfiguredKey]) -> tuple[Path, ...]:
        return (*([self._file] if self._file else []), *(entry.secret_file for entry in entries))

    def _fails(self, error: Exception) -> None:
        """Said once for each fault."""
        text = " | ".join(str(error).splitlines()) or type(error).__name__
        if text != self._failed:
            _log.warning("keys and presets of the configuration stay as they are: %s", text)
        self._failed = text


def _signature(files: Sequence[Path]) -> Signature:
    return tuple(map(_of_file, files))


def _of_file(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
