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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from edge.identity import private_file
from edge.identity.state import StateError
from edge.identity.token import Token

PEPPER_BYTES: Final = 32
_WHAT: Final = "the pepper"
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

    def derive(self, purpose: str, key_id: str) -> bytes:
        """32 bytes that only who holds the current pepper can make again, for one purpose and key.

        The words in front keep them apart from every digest: those are of an id, `_` and a secret.
        """
        return hmac.digest(self.secrets[self.current], f"llm-gateway {purpose} {key_id}".encode(), "sha256")


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
        private_file.make(path, f"{randomness(PEPPER_BYTES).hex()}\n".encode)
        return _read(path)
    except OSError as error:
        raise private_file.not_made(path, _WHAT, error) from None


def _read(path: Path) -> Peppers:
    lines = private_file.read(path, _WHAT).decode("ascii", "replace").split()
    if not lines or not all(map(_LINE.fullmatch, lines)):
        raise StateError(f"the pepper {path} is damaged", "restore it from a backup")
    return of(*map(bytes.fromhex, lines))
