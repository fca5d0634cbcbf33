"""The pepper: a random secret kept outside the database, without which a stolen database opens nothing.

Keys carry 256 bits of their own, so HMAC-SHA256 is enough and costs microseconds; argon2 took 463 ms and 64 MiB per
check on the same machine, which is a denial-of-service lever and no gain (facts/security.md F12).

The file holds one pepper per line, 64 hex digits each: the last line is current, the others stay until no stored secret
needs them. A pepper's id is derived from it, so that a wrong file is noticed at start instead of refusing every key.
To run several replicas on one database, give each the same file.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from edge.identity.state import StateError
from edge.identity.token import Token

PEPPER_BYTES: Final = 32
_LIMIT: Final = 16_384
_LINE: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Peppers:
    """All known peppers by id; new digests are made with the `current` one."""

    secrets: Mapping[int, bytes] = field(repr=False)
    current: int

    def digest(self, token: Token, pepper_id: int | None = None) -> bytes:
        """32 bytes: HMAC-SHA256(pepper, token). KeyError for a pepper that is not there."""
        key = self.secrets[self.current if pepper_id is None else pepper_id]
        return hmac.digest(key, token.message, "sha256")


def of(*secrets: bytes) -> Peppers:
    """Peppers from their bytes, the current one last."""
    ids = [int.from_bytes(sha256(b"llm-gateway pepper id" + secret).digest()[:4], "big") >> 1 for secret in secrets]
    return Peppers(dict(zip(ids, secrets, strict=True)), ids[-1])


def open_peppers(path: Path, *, create: bool, randomness: Callable[[int], bytes] = os.urandom) -> Peppers:
    """Read the pepper file, making it on first use when `create` is set; raises StateError.

    `create` is False once the database holds keys: a fresh pepper would silently void every one of them.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    if not create:
        raise StateError(
            f"the pepper {path} is missing, and without it no stored key can be checked",
            "restore it from a backup, or move gateway.db away to start over with new keys",
        )
    try:
        _make(path, randomness(PEPPER_BYTES))
        return _read(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(
            f"cannot make the pepper {path} ({reason})", "check the folder's owner, free space and file system"
        ) from None


def _make(path: Path, secret: bytes) -> None:
    """Write a complete file beside `path`, then link it into place: link(2) fails if another process was first, so
    both end up reading the same, never a half-written, pepper."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secret[:4].hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{secret.hex()}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_folder(path.parent)
    finally:
        draft.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # a key handed out now must still open the door after a power cut
    finally:
        os.close(descriptor)


def _read(path: Path) -> Peppers:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())  # of what was opened, not of what the name points to by now
            text = file.read(_LIMIT).decode("ascii", "replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(f"cannot read the pepper {path} ({reason})", "run as its owner, or chown it") from None
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise StateError(f"the pepper {path} is open to other users", f"run: chmod 600 '{path}'")
    lines = text.split()
    if not lines or not all(map(_LINE.fullmatch, lines)):
        raise StateError(f"the pepper {path} is damaged", "restore it from a backup")
    return of(*map(bytes.fromhex, lines))
