"""What is seen at one instant, and the document of it: `GET /live`. Pure.

As in records there is no prompt, raw path or engine's text in it, and what an obligation takes out of records
(`Exchange.redact`) is not shown here either; before the decision nobody knows what that is, so until then the caller's
name is not shown, nor the id of a JWT, which holds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from observability.hidden import key_of
from observability.live.phases import Phase, phase_of
from observability.metrics.observer import caller_of
from policies.exchange import Exchange
from policies.json import JSON, Object

MOST_REQUESTS: Final = 500
_SHORTEST: Final = 0.2
"""Seconds: over a shorter time a rate says nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """One that runs. `position` is 0 unless it is queued, `seconds` is its age. None = not known (yet)."""

    id: str
    listener: str
    operation: str
    caller: str | None
    key_id: str | None
    model: str
    engine: str
    phase: Phase
    position: int
    seconds: float
    input: int | None
    output: int | None
    rate: float | None


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine; `models` are those it holds loaded as far as its answers tell, `elsewhere` are requests
    that run there by way of other gateways."""

    name: str
    kind: str
    up: bool
    slots: int
    running: int
    elsewhere: int
    waiting: int
    loading: bool
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """The gateway itself. `lag` is how late the event loop was since the last look, on average, in seconds."""

    version: str
    uptime: float
    memory: int | None
    peak: int | None
    lag: float | None
    watchers: int
    draining: bool


@dataclass(frozen=True, slots=True)
class Recent:
    """Tokens in and out of requests that ended in the last `seconds` seconds, by caller."""

    seconds: float
    tokens: Mapping[str, int]


def look(exchange: Exchange, now: float) -> Request:
    """`exchange` as it is at `now` (monotonic seconds)."""
    stages, usage, principal = exchange.stages, exchange.outcome.usage, exchange.principal
    phase, progress = phase_of(exchange), exchange.progress
    # Before the decision nobody knows whether the caller may be named, which the id of a JWT does.
    told = bool(stages.decided) or (principal is not None and principal.auth == "key")
    output = usage.output
    if progress is not None and stages.first_byte:
        output = max(output or 0, progress.tokens)
    return Request(
        id=exchange.id,
        listener=exchange.client.listener,
        operation=exchange.call.operation.value if exchange.call is not None else "",
        caller=caller_of(exchange) or None if stages.decided else None,
        key_id=key_of(exchange) or None if told else None,
        model=exchange.model,
        engine=exchange.engine,
        phase=phase,
        position=progress.position if progress is not None and phase is Phase.QUEUED else 0,
        seconds=max(now - stages.accepted, 0.0),
        input=exchange.outcome.estimated if usage.input is None else usage.input,
        output=output,
        rate=_rate(output, (stages.answered or now) - stages.first_byte) if stages.first_byte else None,
    )


def document(
    running: Sequence[Request], engines: Iterable[Engine], process: Process, recent: Recent, *, at: float
) -> Object:
    """The whole snapshot; `at` is seconds since the epoch. The oldest requests first, at most MOST_REQUESTS of them."""
    oldest = sorted(running, key=lambda request: (-request.seconds, request.id))
    shown: list[JSON] = [_request(request) for request in oldest[:MOST_REQUESTS]]
    return {
        "object": "live",
        "at": round(at, 3),
        "process": _process(process, len(running)),
        "engines": [_engine(engine, running) for engine in sorted(engines, key=lambda engine: engine.name)],
        "callers": _callers(running, recent),
        "recent_seconds": round(recent.seconds, 1),
        "requests": shown,
        "requests_left_out": len(running) - len(shown),
    }


def _request(request: Request) -> Object:
    return {
        "id": request.id,
        "listener": request.listener,
        "operation": request.operation or None,
        "caller": request.caller,
        "key_id": request.key_id,
        "model": request.model or None,
        "engine": request.engine or None,
        "phase": request.phase.value,
        "position": request.position or None,
        "seconds": round(request.seconds, 3),
        "tokens_in": request.input,
        "tokens_out": request.output,
        "tokens_per_second": _rounded(request.rate),
    }


def _engine(engine: Engine, running: Iterable[Request]) -> Object:
    rates = [request.rate for request in running if request.engine == engine.name and _generates(request)]
    models: list[JSON] = [*sorted(engine.models)]
    return {
        "name": engine.name,
        "kind": engine.kind,
        "up": engine.up,
        "slots": engine.slots,
        "running": engine.running,
        "running_elsewhere": engine.elsewhere,
        "waiting": engine.waiting,
        "loading": engine.loading,
        "models": models,
        "tokens_per_second": round(sum(rate or 0.0 for rate in rates), 1),
    }


def _callers(running: Iterable[Request], recent: Recent) -> list[JSON]:
    """The busiest first."""
    under_way: defaultdict[str, list[Request]] = defaultdict(list)
    for request in running:
        if request.caller is not None:
            under_way[request.caller].append(request)
    lines: list[tuple[int, int, str, float]] = []
    for name in {*under_way, *recent.tokens}:
        own = under_way.get(name, [])
        tokens = recent.tokens.get(name, 0) + sum((one.input or 0) + (one.output or 0) for one in own if one.output)
        lines.append((len(own), tokens, name, sum(one.rate or 0.0 for one in own if _generates(one))))
    lines.sort(key=lambda line: (-line[0], -line[1], line[2]))
    return [
        {"caller": name, "in_flight": count, "tokens_recent": tokens, "tokens_per_second": round(rate, 1)}
        for count, tokens, name, rate in lines
    ]


def _process(process: Process, in_flight: int) -> Object:
    return {
        "version": process.version,
        "uptime_seconds": round(process.uptime, 1),
        "memory_bytes": process.memory,
        "memory_peak_bytes": process.peak,
        "loop_lag_seconds": None if process.lag is None else round(process.lag, 6),
        "in_flight": in_flight,
        "watchers": process.watchers,
        "draining": process.draining,
    }


def _generates(request: Request) -> bool:
    return request.phase is Phase.STREAMING


def _rate(tokens: int | None, seconds: float) -> float | None:
    return None if not tokens or seconds < _SHORTEST else tokens / seconds


def _rounded(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 1)
