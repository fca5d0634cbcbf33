"""One file of a log of records, and which files go. Only the log's own thread comes here: everything blocks.

A file has one writer, who holds a lock on it (`flock`, gone with the process however that ends). A file that nobody
holds is complete, and whoever prunes may remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from observability.decisions.settings import DecisionLogSettings

_NAME: Final = re.compile(r"([a-z]+)-(\d{13})-\d+-[0-9a-f]{8}\.jsonl", re.ASCII)
DECISIONS: Final = "decisions"
"""What the files of the decision log are called; another log has another word."""
_LATEST: Final = 10**13 - 1
LONGEST: Final = 1024 * 1024
"""Bytes of the longest record: a listing of some 10,000 models. Readers hold no more than this of a broken file."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the folder. `started` is seconds since the epoch, as the name has it."""

    path: Path
    started: float
    size: int


def listing(folder: Path, name: str = DECISIONS) -> list[Found]:
    """The files of log `name`, oldest first; nothing if there is no folder. Other files and links are not ours."""
    found: list[Found] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            with contextlib.suppress(FileNotFoundError):  # another process prunes at this moment
                if match and match[1] == name and entry.is_file(follow_symlinks=False):
                    found.append(
                        Found(Path(entry.path), int(match[2]) / 1000, entry.stat(follow_symlinks=False).st_size)
                    )
    return sorted(found, key=lambda file: (file.started, file.path.name))


def prune(folder: Path, settings: DecisionLogSettings, now: float, *, room: int = 0, name: str = DECISIONS) -> int:
    """Remove what is too old, then the oldest until `room` more bytes fit; returns how many files went.

    A file that is being written counts as full, so that it still fits when it is.
    """
    files = listing(folder, name)
    held = {file.path for file in files if is_held(file.path)}
    used = sum(max(file.size, settings.segment_bytes) if file.path in held else file.size for file in files)
    gone = 0
    for file in files:
        if file.path in held or (file.started > now - settings.age and used + room <= settings.max_bytes):
            continue
        with contextlib.suppress(FileNotFoundError):
            file.path.unlink()
        used -= file.size
        gone += 1
    return gone


def is_held(path: Path) -> bool:
    """Whether somebody writes `path`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class Segment:
    """The file that this process writes. Methods raise OSError; after one the file holds whole lines only."""

    def __init__(self, folder: Path, now: float, name: str = DECISIONS) -> None:
        """Make a new file in `folder`, and the folder if it is not there. Another's folder is not written."""
        _prepare(folder)
        start = min(max(int(now * 1000), 0), _LATEST)
        self.path = folder / f"{name}-{start:013d}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self.started = now
        self.size = 0
        self._named = False
        self._dirty = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        # It gets its name once it is locked, so that nobody who prunes ever finds it unlocked.
        nameless = self.path.with_suffix(".new")
        self._descriptor = os.open(nameless, flags, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: pruning then goes by age and size alone
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            nameless.rename(self.path)
        except OSError:
            os.close(self._descriptor)
            raise

    def append(self, lines: Sequence[bytes]) -> None:
        """Write whole lines, or none of them."""
        rest = memoryview(b"".join(lines))
        total = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            # The disk took a part: it must not look like a line that the next one goes on.
            os.ftruncate(self._descriptor, self.size)
            raise
        self.size += total
        self._dirty = True

    def sync(self) -> None:
        """What was written is on the disk afterwards, and so is the file's name.

        After a failure the kernel may call pages clean that it never wrote (Linux, "fsyncgate"): a second try proves
        nothing, so the file must not be used again.
        """
        if self._dirty:
            _sync(self._descriptor)
            self._dirty = False
        if not self._named:
            for folder in (self.path.parent, self.path.parent.parent):  # the folder itself may be new
                _sync_folder(folder)
            self._named = True

    def close(self) -> None:
        """Close the file; an empty one is removed. Raises nothing: what had to be on disk was synced before."""
        with contextlib.suppress(OSError):
            if self.size == 0:
                self.path.unlink()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def _sync(descriptor: int) -> None:
    if sys.platform == "darwin":
        # macOS: fsync leaves the drive's cache unflushed (fsync(2)); file systems that cannot do better say so.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
