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
from edge.identity.state import StateError

POLL_SECONDS: Final = 0.2
_READING: Final = "reading the keys"
_EXPIRY: Final = "watching the keys' expiry"
_log = logging.getLogger(__name__)


class KeySource(Protocol):
    """What the watcher asks; `KeyStore` is one. Both calls block, and raise whatever they like."""

    def revision(self) -> int: ...
    def load_all(self) -> Snapshot: ...


class KeyWatcher:
    """Keeps `directory` up to date with `source` and reports keys that ended to `on_ended` (on the event loop).

    When the source fails, the last good keys stay, unknown ones stay refused, it is logged once, and polling goes on.
    Expiry needs no source and is watched all the same. No Exception ends the watch: all revocations would end with it.
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
        self._failing: set[str] = set()

    def load(self) -> None:
        """The first load, blocking; raises what the source raises, so that start-up fails instead of refusing all."""
        self._directory.swap(prepare(self._source.load_all()), self._now())

    async def run(self) -> None:
        """Watch until cancelled."""
        # A thread of its own: name look-ups that fill asyncio's shared executor must not delay a revocation.
        threads = ThreadPoolExecutor(1, thread_name_prefix="key-watcher")
        asked: asyncio.Future[Contents | None] | None = None
        try:
            while True:
                asked = asked or self._begin(threads)
                if asked is not None:
                    await asyncio.wait({asked}, timeout=self._poll)
                    if asked.done():  # else the database hangs: expiry below must not wait for it
                        self._take(asked)
                        asked = None
                self._expire()
                await asyncio.sleep(self._poll)
        finally:
            if asked is not None:
                asked.cancel()  # nobody is left to hear of its failure
            threads.shutdown(wait=False)

    def _begin(self, threads: ThreadPoolExecutor) -> asyncio.Future[Contents | None] | None:
        try:
            return asyncio.get_running_loop().run_in_executor(threads, self._ask, self._directory.revision)
        except Exception as error:  # noqa: BLE001 - no thread can be had, say: to be tried again like all the rest
            self._failed(_READING, error)
            return None

    def _ask(self, known: int) -> Contents | None:
        """In the thread: everything as of now if it changed. `!=`, not `>`: a restored backup goes back."""
        if self._source.revision() == known:
            return None
        return prepare(self._source.load_all())

    def _take(self, asked: asyncio.Future[Contents | None]) -> None:
        try:
            contents = asked.result()
            ended = frozenset[str]() if contents is None else self._directory.swap(contents, self._now())
        except Exception as error:  # noqa: BLE001 - whatever it is, the watch must go on, and nothing is let in by it
            self._failed(_READING, error)
            return
        self._works(_READING)
        self._report(ended)

    def _expire(self) -> None:
        try:
            ended = self._directory.expired(self._now())
        except Exception as error:  # noqa: BLE001 - as in `_take`
            self._failed(_EXPIRY, error)
            return
        self._works(_EXPIRY)
        self._report(ended)

    def _failed(self, what: str, error: Exception) -> None:
        """Log it once until it works again; a fault of ours, which does not explain itself, with its traceback."""
        if what not in self._failing:
            trace = None if isinstance(error, StateError) else error
            _log.warning("%s fails, going on with the keys known so far: %s", what, error, exc_info=trace)
        self._failing.add(what)

    def _works(self, what: str) -> None:
        if what in self._failing:
            _log.warning("%s works again", what)
        self._failing.discard(what)

    def _report(self, ended: frozenset[str]) -> None:
        if not ended:
            return
        try:
            self._on_ended(ended)
        except Exception:  # noqa: BLE001 - a fault of the callback must not end the watch, and with it all revocations
            _log.exception("cutting the streams of ended keys failed")
