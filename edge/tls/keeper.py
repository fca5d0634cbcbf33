"""One listener's TLS context, and the watch that puts another certificate into it while it serves.

New handshakes get the new one, open connections keep what they have. What cannot be used is said in the log, once, and
the old one stays in force until it ends: a client would rather see a day-old certificate than none.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from edge.identity.state import StateError
from edge.tls.authority import day
from edge.tls.context import load, server_context
from edge.tls.errors import TlsError
from edge.tls.leaf import Leaf, said_of
from edge.tls.names import Names
from edge.tls.sources import Source
from edge.tls.store import utc

POLL: Final = 1.0
_WARN: Final = timedelta(days=7)
_log = logging.getLogger(__name__)


class Keeper:
    """The context of the listener called `name`; `scratch` is a private folder that can be written to."""

    def __init__(
        self, name: str, source: Source, scratch: Path, *, now: Callable[[], float], poll: float = POLL
    ) -> None:
        self.context = server_context()
        self._name = name
        self._source = source
        self._scratch = scratch
        self._now = now
        self._poll = poll
        self._serving: Leaf | None = None
        self._waiting: Leaf | None = None
        """A good one that the disk was too full for."""
        self._failing = ""
        self._warned = ""

    def open(self) -> Names:
        """Load the first certificate, blocking; its names. TlsError or StateError if there is none that can be used."""
        leaf = self._source.first(self._time())
        self._put(leaf)
        return leaf.names

    async def run(self, changed: Callable[[Names], None] = lambda _: None) -> None:
        """Watch until cancelled; `changed` is told the names of each new certificate."""
        while True:
            await asyncio.sleep(self._poll)
            try:
                # In a thread: files may lie on a slow disk. OpenSSL's context is changed here, where it is used.
                leaf = await asyncio.to_thread(self._source.next, self._time()) or self._waiting
                if leaf is not None:
                    self._put(leaf)
            except (TlsError, StateError) as error:
                self._failed(str(error))
                continue
            self._warn_of_the_end()
            if leaf is not None:
                self._failing = ""
                until = f"{leaf.until:%Y-%m-%d}"
                _log.info("listener %s: a new certificate, until %s, for %s", self._name, until, leaf.names)
                changed(leaf.names)

    def _put(self, leaf: Leaf) -> None:
        self._waiting = None
        try:
            load(self.context, leaf.pem, self._scratch)
        except ssl.SSLError as error:
            raise TlsError(
                f"listener {self._name}: OpenSSL does not take the certificate and its key ({said_of(error)})",
                "both must be PEM and belong together, and the key must not be encrypted",
            ) from None
        except OSError as error:
            self._waiting = leaf
            reason = error.strerror or type(error).__name__
            raise TlsError(f"cannot write to {self._scratch} ({reason})", "check its owner and free space") from None
        self._serving = leaf

    def _failed(self, why: str) -> None:
        if why != self._failing:
            _log.warning("listener %s goes on with its old certificate: %s", self._name, why)
        self._failing = why

    def _warn_of_the_end(self) -> None:
        """Once a day in the last week: a certificate from elsewhere that nobody renews."""
        now = self._time()
        if self._serving is None or self._serving.until - now > _WARN:
            return
        if day(now) != self._warned:
            _log.warning("listener %s: its certificate ends on %s", self._name, day(self._serving.until))
        self._warned = day(now)

    def _time(self) -> datetime:
        return utc(self._now())
