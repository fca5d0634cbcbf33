"""What an answer of the collector means, and how long to wait before the next attempt. Pure.

OTLP/HTTP: "HTTP 429, 502, 503, 504" may be tried again, with exponential back-off and jitter, after `Retry-After` where
there is one; "all other 4xx or 5xx response status codes MUST NOT be retried".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_AGAIN: Final = frozenset({429, 502, 503, 504})
_OK: Final = 200
FIRST: Final = 1.0
LONGEST: Final = 60.0
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt: an HTTP status, or 0 and `failure`, the class of what went wrong below HTTP.

    `retry_after` is seconds, None if the collector does not say. `rejected`: of what was `taken`, how many spans,
    points or records were thrown away; "the client MUST NOT retry" those.
    """

    status: int = 0
    failure: str = ""
    retry_after: float | None = None
    rejected: int = 0

    @property
    def taken(self) -> bool:
        """Whether the collector has it."""
        return self.status == _OK

    @property
    def again(self) -> bool:
        """Whether it may be sent again."""
        return self.status == 0 or self.status in _AGAIN

    @property
    def words(self) -> str:
        """For the log."""
        return f"status {self.status}" if self.status else self.failure


def read_retry_after(text: str) -> float | None:
    """Seconds, if they stand there in digits: a date would need the collector's clock to be right."""
    return float(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def pause(attempt: int, answer: Answer, random: Callable[[], float]) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 0). `random` gives numbers from 0 to 1: gateways that
    lost the same collector must not all come back at once."""
    if answer.retry_after is not None:
        return min(answer.retry_after, LONGEST) + random()
    return float(min(FIRST * 2**attempt, LONGEST)) * (0.5 + random() / 2)
