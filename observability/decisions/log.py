"""Who fills the files: a thread of its own, so that a slow disk never stops the line, but for those who ask it to.

`write` keeps a record for the thread: bounded, and what does not fit is dropped, counted and said, in the process's log
and in the decision log itself. `write_durably` waits until the record is on the disk; all who wait at one moment share
one sync. Whoever cannot have it gets a no.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import orjson

from observability.decisions.segments import DECISIONS, LONGEST, Segment, prune
from observability.decisions.settings import DecisionLogSettings
from policies.json import Object
from policies.record import Record

_log = logging.getLogger(__name__)

_CAPACITY: Final = 10_000
"""Records that may wait. Four seconds' worth at the 2,500 requests/s of one worker."""
_BATCH: Final = 256
_GATHER: Final = 0.02
"""Seconds the thread gathers records unless somebody waits for the disk (see `observability/lines.py`)."""
_PAUSE: Final = 1.0
"""Seconds between two tries of a disk that failed; what comes in between is lost, or refused, at once."""
_ROUND: Final = 600.0
"""Seconds between two looks for files that have become too old."""
_REMIND: Final = 60.0
"""Seconds between two lines about records that are still being lost."""


class DecisionLogError(OSError):
    """The record is not on the disk, as far as anybody can tell; the text says why, for the operator's log."""


@dataclass(slots=True)
class _Waiter:
    """One caller of `write_durably`."""

    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    def tell(self, error: str) -> None:
        """From the writer's thread: `error` is why not, "" for success. In a loop that is closed nobody waits."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._settle, error)

    def _settle(self, error: str) -> None:
        if self.done.done():  # given up, or cancelled
            return
        if error:
            self.done.set_exception(DecisionLogError(error))
        else:
            self.done.set_result(None)


class Writable(Protocol):
    """What a log keeps: `document` is asked for in the log's own thread."""

    def document(self) -> Object: ...


_W = TypeVar("_W", bound=Writable)


@dataclass(slots=True)
class _Entry(Generic[_W]):
    record: _W
    waiter: _Waiter | None


class RecordLog(Generic[_W]):
    """The log `name` in `folder`, written by this process among others. `now` gives seconds since the epoch.

    Made at once, without touching the disk. A record's documents must not be changed after it was handed over.
    At most `capacity` records wait for the disk.
    """

    def __init__(
        self,
        folder: Path,
        settings: DecisionLogSettings,
        *,
        now: Callable[[], float] = time.time,
        name: str = DECISIONS,
        capacity: int | None = None,
    ) -> None:
        self._settings = settings
        self._name = name.removesuffix("s") + " log"
        self._capacity = capacity or _CAPACITY
        self._store = _Store(folder, settings, now, name)
        self._waiting: deque[_Entry[_W]] = deque()
        self._refused = 0  # by the callers' thread only; `_lost` by the writer's only: sums need no lock
        self._lost = 0
        self._noted = 0
        self._closing = False
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._complaint = _Complaint(self._name)
        self._thread = threading.Thread(target=self._run, name=self._name.replace(" ", "-"), daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records lost since the start: for the metrics."""
        return self._refused + self._lost

    def write(self, record: _W) -> None:
        """Keep `record` for the thread; never blocks, raises nothing."""
        if self._closing or len(self._waiting) >= self._capacity:
            self._refused += 1
            self._complaint.look(self.dropped, self._store.trouble)
            return
        self._waiting.append(_Entry(record, None))
        if not self._wake.is_set():
            self._wake.set()

    async def write_durably(self, record: _W) -> None:
        """Return once `record` is on the disk. DecisionLogError if that fails, or takes `durable_seconds`."""
        if self._closing:
            raise DecisionLogError(f"the {self._name} is closed")
        if len(self._waiting) >= self._capacity:
            raise DecisionLogError("too many records wait for the disk")
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        self._waiting.append(_Entry(record, waiter))
        self._urgent.set()
        self._wake.set()
        try:
            async with asyncio.timeout(self._settings.durable_seconds):
                await waiter.done
        except TimeoutError:
            raise DecisionLogError("the disk did not take the record in time") from None

    def close(self) -> None:
        """Write what waits, then stop; gives up on a disk that takes nothing for five seconds."""
        self._closing = True
        self._urgent.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        closing = False
        while not closing:
            self._store.keep_house()
            if self._wake.wait(_ROUND):
                self._urgent.wait(_GATHER)
            # Cleared before the records are taken: one that comes in between wakes the thread again.
            self._wake.clear()
            self._urgent.clear()
            closing = self._closing
            while self._waiting:
                try:
                    self._write([self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))])
                except Exception:  # noqa: BLE001 # a thread that is quietly dead would lose all that follows
                    _log.exception("%s: records lost", self._name)
            self._complaint.look(self.dropped, self._store.trouble, at_once=closing)
        self._store.close()

    def _write(self, entries: Sequence[_Entry[_W]]) -> None:
        lines = [_line(entry.record, self._settings.segment_bytes) for entry in entries]
        stored = self._store.append([line for line in lines if line], sync=any(entry.waiter for entry in entries))
        trouble = self._store.trouble
        for entry, line in zip(entries, lines, strict=True):
            kept = bool(line) and stored > 0
            stored -= bool(line)
            self._lost += not kept
            if entry.waiter is not None:
                entry.waiter.tell(trouble or ("" if kept else "the record is too long, or no JSON"))
        self._note_losses()

    def _note_losses(self) -> None:
        """Say in the log itself that it has a gap, as soon as it can be written again."""
        dropped = self.dropped
        if dropped == self._noted or self._store.trouble:
            return
        line = orjson.dumps({"event": DROPPED, "records": dropped - self._noted}, option=orjson.OPT_APPEND_NEWLINE)
        if self._store.append([line], sync=False):
            self._noted = dropped


class DecisionLog(RecordLog[Record]):
    """The decision log."""


DROPPED: Final = "dropped"
"""The `event` of a line that is no record but tells how many are missing."""


def _line(record: Writable, limit: int) -> bytes:
    """`record` as a line; empty for one that cannot be written."""
    try:
        line = orjson.dumps(record.document(), option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return b""
    return line if len(line) <= min(LONGEST, limit) else b""


class _Store:
    """The present file, the next one when it is full or old, and what to do about a disk that fails."""

    def __init__(self, folder: Path, settings: DecisionLogSettings, now: Callable[[], float], name: str) -> None:
        self._folder = folder
        self._name = name
        self._settings = settings
        self._now = now
        self._segment: Segment | None = None
        self._again = 0.0
        self._round = 0.0
        self.trouble = ""
        """Why the last `append` did not do all it should; "" if it did."""

    def append(self, lines: Sequence[bytes], *, sync: bool) -> int:
        """Write `lines` in order, and sync them; returns how many of them are in files. Raises nothing."""
        if self.trouble and time.monotonic() < self._again:
            return 0
        stored = 0
        try:
            for chunk in self._chunks(lines):
                self._fitting(sum(map(len, chunk)), sync=sync).append(chunk)
                stored += len(chunk)
            if sync and self._segment is not None:
                self._segment.sync()
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{type(error).__name__} {error.errno}: {error.strerror}"
            self._again = time.monotonic() + _PAUSE
            self.close()
        return stored

    def _chunks(self, lines: Sequence[bytes]) -> list[list[bytes]]:
        """`lines` in runs that fit into one file each, the first into the rest of the present one."""
        most = self._settings.segment_bytes
        room = most - (self._segment.size if self._segment is not None else 0)
        chunks: list[list[bytes]] = [[]]
        for line in lines:
            if len(line) > room:
                chunks.append([])
                room = most
            chunks[-1].append(line)
            room -= len(line)
        return [chunk for chunk in chunks if chunk]

    def _fitting(self, size: int, *, sync: bool) -> Segment:
        """The file that takes `size` more bytes."""
        segment, now = self._segment, self._now()
        if segment is not None:
            old = not 0 <= now - segment.started < self._settings.span
            if not old and segment.size + size <= self._settings.segment_bytes:
                return segment
            if sync:
                segment.sync()
            self.close()
        with contextlib.suppress(OSError):
            prune(self._folder, self._settings, now, room=self._settings.segment_bytes, name=self._name)
        self._segment = Segment(self._folder, now, self._name)
        return self._segment

    def keep_house(self) -> None:
        """Every ten minutes: leave a file that is old enough, remove what has become too old."""
        if time.monotonic() < self._round:
            return
        self._round = time.monotonic() + _ROUND
        now = self._now()
        if self._segment is not None and now - self._segment.started >= self._settings.span:
            self.close()
        with contextlib.suppress(OSError):
            prune(self._folder, self._settings, now, name=self._name)

    def close(self) -> None:
        """Leave the present file."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None


class _Complaint:
    """Says that records get lost: at once, then once a minute while it goes on, and how many it were."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said = 0
        self._next = 0.0

    def look(self, dropped: int, trouble: str, *, at_once: bool = False) -> None:
        """`dropped` records were lost since the start, `trouble` is what the disk says."""
        if dropped == self._said or (time.monotonic() < self._next and not at_once):
            return
        lost, self._said = dropped - self._said, dropped
        self._next = time.monotonic() + _REMIND
        why = trouble or "they came too fast or cannot be written"
        _log.error("%s: %d records lost (%s)", self._name, lost, why)
