"""How much of what callers say is kept, for how long, and what is taken out of it before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from observability.captures.patterns import PatternError, cost
from observability.decisions.settings import DecisionLogSettings

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_DAY: Final = 86_400.0
_MOST_PATTERNS: Final = 64


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Whether a request is captured is said by the policy alone. ValueError for what cannot be kept."""

    most_bytes: int = 64 * _KIB
    """of one request's text, and as much of its answer's"""
    keep: float = 7 * _DAY
    """no capture is kept longer"""
    total_bytes: int = 1024 * _MIB
    """all captures together; the oldest go first"""
    redact: tuple[str, ...] = ()
    """patterns of what is taken out, beside keys and tokens (docs/capture.md)"""
    redact_emails: bool = True
    """take out addresses of mail, too"""

    def __post_init__(self) -> None:
        if not _KIB <= self.most_bytes <= 128 * _KIB:
            raise ValueError("most_bytes must be from 1 KiB to 128 KiB")
        if not 3600 <= self.keep <= 3650 * _DAY:  # noqa: PLR2004 # an hour; ten years
            raise ValueError("keep must be from 1h to 3650d")
        if self.total_bytes < 4 * _MIB:
            raise ValueError("total_bytes must be at least 4 MiB")
        if len(self.redact) > _MOST_PATTERNS:
            raise ValueError(f"redact may hold at most {_MOST_PATTERNS} patterns")
        for pattern in self.redact:
            try:
                _ = cost(pattern)
            except PatternError as error:
                raise ValueError(f"redact: {error}") from None

    @property
    def retention(self) -> DecisionLogSettings:
        """The same, as the files' writer has it. A request that is audited waits 5 s for the disk."""
        segment = min(8 * _MIB, self.total_bytes // 2)
        return DecisionLogSettings(days=self.keep / _DAY, max_bytes=self.total_bytes, segment_bytes=segment)
