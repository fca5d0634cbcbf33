"""Where lines end: stderr, or a file that is turned over when it is full. Only the writing thread comes here.

A file may also be turned over by others (logrotate: by renaming or by truncating it, and no signal is needed): before
each batch it is looked whether the name still means the open file. Several processes may share one: each appends, and
a lock on the file lets one of them turn it over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import Protocol

MODE = 0o600


class Output(Protocol):
    """Takes bytes."""

    def prepare(self, size: int) -> None:
        """Called before each batch of `size` bytes, which are whole lines."""

    def write(self, data: memoryview) -> int | None:
        """Write some of `data`: how many bytes, None if none can be taken now. OSError."""

    def close(self) -> None: ...


class Stderr:
    """The process's standard error."""

    def __init__(self) -> None:
        self._descriptor = os.dup(sys.stderr.fileno())

    def prepare(self, size: int) -> None:
        """Nothing."""

    def write(self, data: memoryview) -> int | None:
        """See Output."""
        return _write(self._descriptor, data)

    def close(self) -> None:
        """Close our copy of it."""
        os.close(self._descriptor)


class LogFile:
    """`path`, appended to, mode 0600. At `most_bytes` (0 = never) it becomes `path.1`, that one `path.2`, and so on; of
    those `keep` are kept. OSError if it cannot be opened."""

    def __init__(self, path: Path, most_bytes: int = 0, keep: int = 1) -> None:
        self._path = path.resolve() if path.is_file() else path  # a link stays; what it names is turned over
        self._most = most_bytes
        self._keep = keep
        self._descriptor = _open(self._path)

    def prepare(self, size: int) -> None:
        """See Output. Where nothing better can be done the open file is written on."""
        with contextlib.suppress(OSError):
            if not self._named():
                self._reopen()
            found = os.fstat(self._descriptor)
            if self._most and stat.S_ISREG(found.st_mode) and 0 < found.st_size > self._most - size:
                self._turn_over()

    def write(self, data: memoryview) -> int | None:
        """See Output."""
        return _write(self._descriptor, data)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _named(self) -> bool:
        """Whether the open file is the one of that name."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _turn_over(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # another process is at it
        if self._named():
            for number in range(self._keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._old(number).rename(self._old(number + 1))
            self._path.rename(self._old(1))
        self._reopen()

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _reopen(self) -> None:
        """The lock, if there is one, goes with the old descriptor."""
        fresh = _open(self._path)
        os.close(self._descriptor)
        self._descriptor = fresh


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)


def _write(descriptor: int, data: memoryview) -> int | None:
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return None
