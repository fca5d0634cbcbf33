"""Limits in words and headers: what a caller is told of what is left, and of why there is nothing. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from edge.limits.contract import Bound, Full, Level, Meter, Over, Seats, Taken
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

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
    requests: Level | None = None
    tokens: Level | None = None
    for level in levels:
        bound = level.bound
        if bound.shadow:
            continue
        if bound.meter is Meter.REQUESTS:
            requests = _tighter(level, requests)
        elif bound.meter is not Meter.GPU_MS:
            tokens = _tighter(level, tokens)
    found: dict[str, str] = {}
    if requests is not None:
        found["x-ratelimit-limit-requests"] = str(requests.bound.most)
        found["x-ratelimit-remaining-requests"] = str(requests.left)
        found["x-ratelimit-reset-requests"] = span(requests.frees_in)
    if tokens is not None:
        found["x-ratelimit-limit-tokens"] = str(tokens.bound.most)
        found["x-ratelimit-remaining-tokens"] = str(tokens.left)
        found["x-ratelimit-reset-tokens"] = span(tokens.frees_in)
    return found


def _tighter(one: Level, other: Level | None) -> Level:
    if other is None:
        return one
    left, others = one.left, other.left
    return one if left < others or (left == others and one.bound.most < other.bound.most) else other


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
        limit=(bound.meter.value, bound.window.name),
    )


def seats_refusal(full: Full) -> Refusal:
    """Too many requests at once."""
    seats = full.seats
    hint = f"{seats.name} is suspended." if seats.most == 0 else f"At most {seats.most} at once, for {seats.name}."
    return Refusal(Reason.CONCURRENCY_EXCEEDED, hint=hint, retry_after=full.retry_after, detail=seats.name)


def document(levels: Iterable[Level]) -> list[JSON]:
    """What `/v1/me` says of limits: amounts of GPU time in seconds."""
    return [_level(level) for level in levels]


def seats_document(seats: Iterable[Taken]) -> list[JSON]:
    """What `/v1/me` says of requests at once."""
    return [_seats(each.seats, each.taken) for each in seats]


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


def _seats(seats: Seats, taken: int) -> Object:
    return {
        "name": seats.name,
        "limit": seats.most,
        "in_use": taken,
        "remaining": max(0, seats.most - taken),
        "shadow": seats.shadow,
    }


def span(seconds: float) -> str:
    """A time as OpenAI writes it in its headers: 1s, 6m0s, 2h30m, 12d4h; rounded up, the two largest units."""
    return _span(max(0, math.ceil(seconds)))


@lru_cache(maxsize=1024)
def _span(left: int) -> str:
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
