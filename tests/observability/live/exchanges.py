"""Exchanges as these tests need them."""

from __future__ import annotations

from dataclasses import dataclass

from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import CAUSES, Reason


@dataclass
class Standing:
    """A `policies.exchange.Progress` that says what it is told to."""

    position: int = 0
    loading: bool = False
    tokens: int = 0


def arrived(caller: str = "ann", *, at: float = 1.0, listener: str = "local") -> Exchange:
    """One that was accepted at `at` and is known by its caller."""
    exchange = Exchange("a" * 32, Client("10.0.0.1", 5, listener), method="POST", route="/v1/chat/completions")
    exchange.principal = Principal(caller, f"key-{caller}", "laptop", "key", frozenset(), DEFAULT_SCOPES)
    exchange.stages.accepted, exchange.stages.identified = at, at
    return exchange


def decided(caller: str = "ann", *, at: float = 1.0, stream: bool = True) -> Exchange:
    """One that was permitted a model."""
    exchange = arrived(caller, at=at)
    exchange.call = Call(Operation.CHAT, Dialect.OPENAI, model="Tiny", stream=stream, body={"messages": "SECRET"})
    exchange.requested, exchange.model = "Tiny", "tiny"
    exchange.stages.decided = at + 0.1
    return exchange


def streaming(caller: str = "ann", tokens: int = 50, *, at: float = 1.0) -> Exchange:
    """One whose answer comes, since one second after it came."""
    exchange = decided(caller, at=at)
    exchange.engine, exchange.progress = "dmr", Standing(tokens=tokens)
    exchange.stages.queued = at + 0.1
    exchange.stages.turn = exchange.stages.sent = at + 0.5
    exchange.stages.first_byte = at + 1.0
    return exchange


def ended(caller: str = "ann", tokens: int = 50, *, reason: Reason | None = None, seconds: float = 2.0) -> Exchange:
    """One that is over, having read 10 tokens."""
    exchange = streaming(caller, tokens)
    exchange.progress = None
    exchange.outcome.status = 200 if reason is None else CAUSES[reason].status
    exchange.outcome.reason = reason
    exchange.outcome.usage.input, exchange.outcome.usage.output = 10, tokens
    exchange.stages.answered = exchange.stages.done = exchange.stages.accepted + seconds
    return exchange
