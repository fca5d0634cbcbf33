"""A secret in a file of the state folder: made or replaced whole or not at all, and read only while it is private."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.identity.state import StateError

_LIMIT: Final = 16_384


def make(path: Path, content: Callable[[], bytes]) -> None:
    """Write a complete file beside `path`, then link it into place: link(2) fails if another process was first, so
    both end up reading the same, never a half-written, secret. OSError."""
    with _draft(path, content) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """The same, in place of what may be there: readers see the one or the other. OSError."""
    with _draft(path, lambda: content) as draft:
        draft.replace(path)
        _sync_folder(path.parent)


@contextmanager
def _draft(path: Path, content: Callable[[], bytes]) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content())
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """What is handed out now must still fit after a power cut: keys to their pepper, public keys to the private one."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, what: str) -> bytes:
    """The secret at `path`; `what` it is, for the message. FileNotFoundError; StateError if others could read it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())  # of what was opened, not of what the name points to by now
            content = file.read(_LIMIT)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StateError(f"cannot read {what} {path} ({_reason(error)})", "run as its owner, or chown it") from None
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise StateError(f"{what} {path} is open to other users", f"run: chmod 600 '{path}'")
    return content


def not_made(path: Path, what: str, error: OSError) -> StateError:
    """What to tell when `make` failed."""
    return StateError(
        f"cannot make {what} {path} ({_reason(error)})", "check the folder's owner, free space and file system"
    )


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
