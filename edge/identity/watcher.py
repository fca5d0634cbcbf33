"""Follows the store, so that what another process writes (`keys revoke` beside a running `up`) counts within a second.

The promise is revocation in <= 1 s, running streams included (facts/security.md 2.1). Polling one row five times a
second costs 0.1 ms each, works the same on SQLite and PostgreSQL, and cannot lose a message as a notification can.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from edge.identity.directory import Contents, KeyDirectory, prepare
from edge.identity.record import Snapshot

POLL_SECONDS: Final = 0.2
_log = logging.getLogger(__name__)


class KeySource(Protocol):
    """What the watcher asks; `KeyStore` is one. Both calls block, and raise whatever they like."""

    def revision(self) -> int: ...
    def load_all(self) -> Snapshot: ...


class KeyWatcher:
    """Keeps `directory` up to date with `source` and reports keys that ended to `on_ended` (on the event loop).

    When the source fails, the last good keys stay, unknown ones stay refused, it is logged once, and polling goes on.
    Expiry needs no source and is watched all the same.
    """

    def __init__(
        self,
        source: KeySource,
        directory: KeyDirectory,
        on_ended: Callable[[frozenset[str]], None],
        *,
        now: Callable[[], float],
        poll: float = POLL_SECONDS,
    ) -> None:
        self._source = source
        self._directory = directory
        self._on_ended = on_ended
        self._now = now
        self._poll = poll
        self._failing = False

    def load(self) -> None:
        """The first load, blocking; raises what the source raises, so that start-up fails instead of refusing all."""
        self._directory.swap(prepare(self._source.load_all()), self._now())

    async def run(self) -> None:
        """Watch until cancelled."""
        # A thread of its own: name look-ups that fill asyncio's shared executor must not delay a revocation.
        threads = ThreadPoolExecutor(1, thread_name_prefix="key-watcher")
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Contents | None] | None = None
        try:
            while True:
                if asked is None:
                    asked = loop.run_in_executor(threads, self._ask, self._directory.revision)
                await asyncio.wait({asked}, timeout=self._poll)
                if asked.done():  # else the database hangs: expiry below must not wait for it
                    self._take(asked)
                    asked = None
                self._report(self._directory.expired(self._now()))
                await asyncio.sleep(self._poll)
        finally:
            if asked is not None:
                asked.cancel()  # nobody is left to hear of its failure
            threads.shutdown(wait=False)

    def _ask(self, known: int) -> Contents | None:
        """In the thread: everything as of now if it changed. `!=`, not `>`: a restored backup goes back."""
        if self._source.revision() == known:
            return None
        return prepare(self._source.load_all())

    def _take(self, asked: asyncio.Future[Contents | None]) -> None:
        try:
            contents = asked.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch must go on, and nothing is let in by it
            if not self._failing:
                _log.warning("keys cannot be read, going on with those known so far: %s", error)
            self._failing = True
            return
        if self._failing:
            _log.warning("keys can be read again")
        self._failing = False
        if contents is not None:
            self._report(self._directory.swap(contents, self._now()))

    def _report(self, ended: frozenset[str]) -> None:
        if not ended:
            return
        try:
            self._on_ended(ended)
        except Exception:  # noqa: BLE001 - a fault of the callback must not end the watch, and with it all revocations
            _log.exception("cutting the streams of ended keys failed")
