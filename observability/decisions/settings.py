"""How much of the past is kept. A decision is one to two KB: 256 MiB hold some 150,000 of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class DecisionLogSettings:
    """`days`: no record is kept longer (fractions count); `max_bytes`: all files together, the oldest file goes first.

    `segment_bytes`: one file. `durable_seconds`: how long a request that must be on disk before
    it is served (obligation `audit`) waits for the disk; then it is refused. ValueError for what cannot be kept.
    """

    days: float = 30.0
    """no record is kept longer, in days"""
    max_bytes: int = 256 * _MIB
    """all files together; the oldest goes first"""
    segment_bytes: int = 8 * _MIB
    """one file"""
    durable_seconds: float = 5.0
    """how long `audit` waits for the disk before it refuses"""

    def __post_init__(self) -> None:
        if not 0 < self.days <= 36_500:  # noqa: PLR2004 # a hundred years: a slip of the pen, or infinity
            raise ValueError("days must be above 0 and at most 36500")
        if not 64 * _KIB <= self.segment_bytes <= 1024 * _MIB:
            raise ValueError("segment_bytes must be from 64 KiB to 1 GiB")
        if self.max_bytes < 2 * self.segment_bytes:
            raise ValueError("max_bytes must be at least twice segment_bytes: whole files are removed")
        if not 0 < self.durable_seconds <= 60:  # noqa: PLR2004 # longer than any caller waits
            raise ValueError("durable_seconds must be above 0 and at most 60")

    @property
    def age(self) -> float:
        """Seconds a record is kept at most."""
        return self.days * _DAY

    @property
    def span(self) -> float:
        """Seconds after which a file is closed although it is not full: what is removed is removed file by file."""
        return min(_DAY, self.age / 10)
