"""Where lines go: a file or stderr, written by a thread of its own, so that a slow disk or a full pipe never stops the
line. The queue is bounded; what does not fit is dropped and counted, and the count is said in the next line."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import orjson

from policies.json import Object

_CAPACITY: Final = 10_000
_BATCH: Final = 256


class LineSink(Protocol):
    """Takes one JSON object per event."""

    def write(self, line: Object) -> None: ...

    def close(self) -> None: ...


class NoLines:
    """`access_log: off`."""

    def write(self, line: Object) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineWriter:
    """JSON lines to `path` (appended, mode 0600) or to stderr where it is None."""

    def __init__(self, path: Path | None) -> None:
        self._queue: queue.Queue[Object | None] = queue.Queue(_CAPACITY)
        self._dropped = 0
        self._path = path
        self._descriptor = sys.stderr.fileno() if path is None else _open(path)
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: Object) -> None:
        """Queue one line; never blocks."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is queued, then stop."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with os.fdopen(self._descriptor, "wb", buffering=0, closefd=self._path is not None) as out:
            while (line := self._queue.get()) is not None:
                last = self._write_batch(out, line)
                if last:
                    return

    def _write_batch(self, out: BinaryIO, line: Object) -> bool:
        """Write `line` and what else waits, in one system call; True when the end marker came up."""
        lines: list[Object] = [line]
        ended = False
        with contextlib.suppress(queue.Empty):
            while len(lines) < _BATCH and not ended:
                following = self._queue.get_nowait()
                ended = following is None
                if following is not None:
                    lines.append(following)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append({"event": "dropped", "lines": dropped})
        try:
            out.write(b"".join(orjson.dumps(entry) + b"\n" for entry in lines))
        except OSError:
            self._dropped += len(lines)
        return ended


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
