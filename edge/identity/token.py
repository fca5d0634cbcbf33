"""The key format `lgw_<id>_<secret><checksum>`: mint, parse, redact. Pure.

Why this shape (facts/security.md 2.1): a fixed prefix lets secret scanners find leaked keys with next to no false
positives; `_` makes a double-click select the whole key; the id indexes, logs and revokes without touching the secret;
the CRC32 throws out typing errors and junk before any look-up. The checksum is no security: the secret's 256 bits are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

PREFIX: Final = "lgw_"
ID_LENGTH: Final = 10
SECRET_LENGTH: Final = 43  # 62**43 is the first power of 62 above 2**256
CHECKSUM_LENGTH: Final = 6  # 62**6 > 2**32
KEY_LENGTH: Final = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH
KEY_PATTERN: Final = r"lgw_[0-9A-Za-z]{10}_[0-9A-Za-z]{49}"
"""The whole key as a regular expression, for secret scanners (gitleaks, GitHub push protection)."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY: Final = re.compile(KEY_PATTERN, re.ASCII)
# Wider than KEY_PATTERN on purpose: a key that lost its last characters can be completed by whoever reads the log.
_LEAK: Final = re.compile(r"(?i:lgw)_([0-9A-Za-z]{10})_[0-9A-Za-z_\-]+|(?i:lgw)_[0-9A-Za-z_\-]{16,}", re.ASCII)
_JWT_LEAK: Final = re.compile(r"eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+(?:\.[A-Za-z0-9_\-]*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed key: its id (log-safe) and its secret. `text` is what the caller sends."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        body = f"{PREFIX}{self.id}_{self.secret}"
        return body + _checksum(body)

    @property
    def message(self) -> bytes:
        """What is digested. It holds the id too, so that a digest copied to another key's row opens nothing."""
        return f"{self.id}_{self.secret}".encode("ascii")


def mint(randomness: Callable[[int], bytes], *, key_id: str | None = None) -> Token:
    """A new key, or (with `key_id`) a new secret for an existing one. `randomness` is `os.urandom` outside tests."""
    # 128 random bits reduced to 62**10 (60 bits): the bias is below 2**-68.
    ident = key_id or _base62(int.from_bytes(randomness(16), "big") % 62**ID_LENGTH, ID_LENGTH)
    return Token(ident, _base62(int.from_bytes(randomness(32), "big"), SECRET_LENGTH))


def parse(text: str) -> Token | None:
    """`text` as a key, or None: length, alphabet and checksum are judged here, before any look-up."""
    if len(text) != KEY_LENGTH or _KEY.fullmatch(text) is None:
        return None
    body = text[:-CHECKSUM_LENGTH]
    if _checksum(body) != text[-CHECKSUM_LENGTH:]:
        return None
    start = len(PREFIX)
    return Token(text[start : start + ID_LENGTH], body[start + ID_LENGTH + 1 :])


def redact(text: str) -> str:
    """`text` with everything key- or JWT-shaped taken out; a key's id stays, so that a log line can be followed up."""
    text = _LEAK.sub(lambda leak: f"lgw_{leak[1]}_[redacted]" if leak[1] else "lgw_[redacted]", text)
    return _JWT_LEAK.sub("[redacted jwt]", text)


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
