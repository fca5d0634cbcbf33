"""Writes captures: as an observer of what is over, and beforehand where the policy asks for certainty."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from observability.captures.document import REQUEST, WHOLE, Capture, capture
from observability.captures.patterns import Redactor
from observability.captures.settings import CaptureSettings
from observability.decisions.log import RecordLog
from policies.exchange import Exchange

CAPTURES: Final = "captures"
"""The folder in the state folder, and what its files are called."""
_WAITING: Final = 32 * 1024 * 1024
"""Bytes, about, that may wait for the disk. A document of nothing but structure is held as sixteen times its text."""


class CaptureLog:
    """The captures in `folder`. Implements `Observer`. Makes nothing, and no thread, until there is one to write."""

    def __init__(self, folder: Path, settings: CaptureSettings, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._settings = settings
        self._now = now
        self._redact = Redactor(settings.redact, time.thread_time, emails=settings.redact_emails)
        self._log: RecordLog[Capture] | None = None

    @property
    def most_bytes(self) -> int:
        """Of one side's text."""
        return self._settings.most_bytes

    @property
    def dropped(self) -> int:
        """Captures lost since the start: for the metrics."""
        return 0 if self._log is None else self._log.dropped

    def open(self) -> None:
        """Begin to keep house, so that captures do not outlive `keep` because none is added."""
        if self._folder.exists():
            _ = self._writer()

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended."""
        found = capture(exchange, at, self._redact, part=WHOLE, most_bytes=self.most_bytes)
        if found is not None:
            self._writer().write(found)

    async def promise(self, exchange: Exchange) -> None:
        """Return once the request is on disk, if it is to be captured. DecisionLogError if it cannot be."""
        found = capture(exchange, self._now(), self._redact, part=REQUEST, most_bytes=self.most_bytes)
        if found is not None:
            await self._writer().write_durably(found)

    def close(self) -> None:
        """Write what waits, then stop; see RecordLog.close."""
        if self._log is not None:
            self._log.close()

    def _writer(self) -> RecordLog[Capture]:
        if self._log is None:
            capacity = max(16, _WAITING // (8 * self.most_bytes))
            retention = self._settings.retention
            self._log = RecordLog(self._folder, retention, now=self._now, name=CAPTURES, capacity=capacity)
        return self._log
