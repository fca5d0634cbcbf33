"""Request ids. One id serves as request id and as W3C trace id: 32 lower-case hex digits, not all zero."""

from __future__ import annotations

from collections.abc import Callable


def new_id(randomness: Callable[[int], bytes]) -> str:
    """A fresh id from 16 bytes of `randomness` (W3C Trace Context 3.2.2.3: all zero is invalid)."""
    return randomness(16).hex().replace("0" * 32, "0" * 31 + "1")
