"""How long the parts of an answer took, for dialects that say so. Pure: clocks are passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from policies.exchange import Exchange
from policies.json import JSON, Object, as_object

_MOST_MS: Final = 86_400_000.0


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds. `prompt` and `answer` are None where nobody knows them apart from what came before."""

    total: float
    waiting: float
    """Until the engine was there for it: the gateway's own work, the line, the model's load."""
    prompt: float | None
    answer: float


@dataclass(frozen=True, slots=True)
class Timing:
    """What a rendering may know of time. `clock` is the one of the exchange's stages, `wall` in seconds since 1970."""

    exchange: Exchange
    clock: Callable[[], float]
    wall: Callable[[], float]

    def spans(self, reported: JSON = None) -> Spans:
        """Of an answer that ends now; `reported` are llama-server's `timings`, where the engine wrote some.

        Without them what lies between the request and its first piece is the reading of the prompt, unless the model
        had to be loaded first: then nobody but the engine can tell the two apart, and it counts as waiting.
        """
        stages, now = self.exchange.stages, self.clock()
        sent = stages.sent or now
        first = stages.first_byte or now
        total = now - stages.accepted
        engines = as_object(reported)
        prompt, answer = _seconds(engines, "prompt_ms"), _seconds(engines, "predicted_ms")
        if prompt is not None and answer is not None and prompt + answer <= total:
            return Spans(total, total - prompt - answer, prompt, answer)
        if self.exchange.loaded:
            return Spans(total, first - stages.accepted, None, now - first)
        return Spans(total, sent - stages.accepted, first - sent, now - first)


def _seconds(reported: Object, name: str) -> float | None:
    value = reported.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_MS:
        return None
    return value / 1000
