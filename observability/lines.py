"""Where lines go: a file or stderr, written by a thread of its own, so that a slow disk or a full pipe never stops the
line. What waits is bounded; what does not fit is dropped and counted, and the count is said in the next line."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import orjson

from policies.json import Object

_CAPACITY: Final = 10_000
_GATHER: Final = 0.02
"""Seconds the thread gathers lines before it writes them in one call. Woken for each line it would fight the event loop
for the interpreter lock: every C call that lets go of it, the key's HMAC first, then waits for the thread's turn."""


class LineSink(Protocol):
    """Takes one JSON object per event."""

    def write(self, line: Object) -> None: ...

    @property
    def dropped(self) -> int:
        """Lines that were thrown away since the start."""
        ...

    def close(self) -> None: ...


class NoLines:
    """`access_log: off`."""

    def write(self, line: Object) -> None:
        """Nothing."""

    @property
    def dropped(self) -> int:
        """See LineSink."""
        return 0

    def close(self) -> None:
        """Nothing."""


class LineWriter:
    """JSON lines to `path` (appended, mode 0600) or to stderr where it is None."""

    def __init__(self, path: Path | None) -> None:
        self._waiting: deque[Object] = deque()
        self._dropped = 0
        self._told = 0
        self._closing = False
        self._wake = threading.Event()
        self._out = _stderr() if path is None else _open(path)
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: Object) -> None:
        """Keep one line for the thread; never blocks."""
        if len(self._waiting) >= _CAPACITY:
            self._dropped += 1
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    @property
    def dropped(self) -> int:
        """See LineSink."""
        return self._told + self._dropped

    def close(self) -> None:
        """Write what waits, then stop; gives up on an output that takes nothing for five seconds."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with self._out:
            while not self._closing:
                self._wake.wait()
                if not self._closing:
                    time.sleep(_GATHER)
                # Cleared before the lines are taken: one that comes in between wakes the thread again.
                self._wake.clear()
                self._write_waiting()
            self._write_waiting()

    def _write_waiting(self) -> None:
        blocks = [self._block(self._waiting.popleft()) for _ in range(len(self._waiting))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._told += dropped
            blocks.append(self._block({"event": "dropped", "lines": dropped}))
        rest = memoryview(b"".join(blocks))
        try:
            while rest:  # a pipe may take less than it is offered; None: it is non-blocking and full
                rest = rest[self._out.write(rest) or 0 :]
        except OSError:
            self._dropped += len(blocks)

    def _block(self, line: Object) -> bytes:
        """`line` as bytes. One that cannot be written as JSON is counted as dropped: nothing may end the thread."""
        try:
            return orjson.dumps(line) + b"\n"
        except orjson.JSONEncodeError:
            self._dropped += 1
            return b""


def _stderr() -> BinaryIO:
    return os.fdopen(os.dup(sys.stderr.fileno()), "wb", buffering=0)


def _open(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
