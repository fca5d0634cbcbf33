"""Why there is no TLS."""

from __future__ import annotations


class TlsError(Exception):
    """A certificate cannot be used. One line: what is wrong, then what to do about it."""

    def __init__(self, problem: str, step: str) -> None:
        super().__init__(f"{problem}: {step}")
