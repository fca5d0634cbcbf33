"""Limits in words and headers: what a caller is told of what is left, and of why there is nothing. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Final

from edge.limits.contract import Bound, Full, Level, Meter, Over
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

_TOKENS: Final = frozenset({Meter.INPUT, Meter.OUTPUT, Meter.TOKENS})
_NAMES: Final = MappingProxyType(
    {
        Meter.REQUESTS: "requests",
        Meter.INPUT: "input tokens",
        Meter.OUTPUT: "output tokens",
        Meter.TOKENS: "tokens",
        Meter.GPU_MS: "GPU seconds",
    }
)
_MS: Final = 1000
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def headers(levels: Sequence[Level]) -> dict[str, str]:
    """The `x-ratelimit-*` headers that OpenAI's clients know, of the tightest limit of requests and of tokens."""
    found: dict[str, str] = {}
    for name, meters in (("requests", frozenset({Meter.REQUESTS})), ("tokens", _TOKENS)):
        bounds = [level for level in levels if level.bound.meter in meters and not level.bound.shadow]
        if bounds:
            tightest = min(bounds, key=lambda level: (level.left, level.bound.most))
            found[f"x-ratelimit-limit-{name}"] = str(tightest.bound.most)
            found[f"x-ratelimit-remaining-{name}"] = str(tightest.left)
            found[f"x-ratelimit-reset-{name}"] = span(tightest.frees_in)
    return found


def refusal(over: Over) -> Refusal:
    """A limit is used up, or set to 0."""
    bound = over.bound
    if bound.most == 0:
        hint = f"{bound.name} is suspended: its limit of {_NAMES[bound.meter]} is 0."
    elif over.retry_after is None:
        hint = f"The request needs more than {_amount(bound)}, the limit of {bound.name}."
    else:
        hint = f"{_amount(bound)} is the limit of {bound.name}; try again in {span(over.retry_after)}."
    return Refusal(
        Reason.LIMIT_EXCEEDED,
        hint=hint,
        retry_after=over.retry_after,
        headers=headers([over.level]),
        detail=f"{bound.name}: {bound.meter.value} per {bound.window.name}",
    )


def seats_refusal(full: Full) -> Refusal:
    """Too many requests at once."""
    seats = full.seats
    hint = f"{seats.name} is suspended." if seats.most == 0 else f"At most {seats.most} at once, for {seats.name}."
    return Refusal(Reason.CONCURRENCY_EXCEEDED, hint=hint, retry_after=full.retry_after, detail=seats.name)


def document(levels: Iterable[Level]) -> list[JSON]:
    """What `/v1/me` says of limits: amounts of GPU time in seconds."""
    return [_level(level) for level in levels]


def _level(level: Level) -> Object:
    bound = level.bound
    unit = _MS if bound.meter is Meter.GPU_MS else 1
    return {
        "name": bound.name,
        "of": "gpu_seconds" if bound.meter is Meter.GPU_MS else bound.meter.value,
        "per": bound.window.name,
        "limit": bound.most // unit,
        "used": level.used // unit,
        "remaining": level.left // unit,
        "reset_seconds": math.ceil(level.frees_in),
        "shadow": bound.shadow,
    }


def span(seconds: float) -> str:
    """A time as OpenAI writes it in its headers: 1s, 6m0s, 2h30m, 12d4h; rounded up, the two largest units."""
    left = max(0, math.ceil(seconds))
    parts: list[str] = []
    for size, unit in _SPANS:
        if left >= size or parts or size == 1:
            parts.append(f"{left // size}{unit}")
            left %= size
        if len(parts) == 2:  # noqa: PLR2004 - two units
            break
    return "".join(parts)


def _amount(bound: Bound) -> str:
    amount = bound.most // _MS if bound.meter is Meter.GPU_MS else bound.most
    return f"{amount:,} {_NAMES[bound.meter]} per {bound.window.name}"
