"""Exchanges as the line leaves them, for tests of what is told about them."""

from __future__ import annotations

from observability.traces.tracer import Sampling, Tracer
from observability.traces.trust import NOBODY, ListenerTrace
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange, Outcome, Stages, Usage
from policies.input import Shape
from policies.obligations import Obligations
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import CAUSES, Reason
from tests.policies.asking import permit, question

ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WHO = Principal("ann", "k1", "laptop", "key", frozenset({"dev", "ops"}), DEFAULT_SCOPES)
AT = 1_700_000_000.0


def served(request_id: str = ID, *, obligations: Obligations | None = None) -> Exchange:
    """A streamed chat that went well: 100 ms in all, 10 in the queue."""
    exchange = Exchange(request_id, Client("10.1.2.3", 5, "lan"), "POST", "/v1/chat/completions", WHO)
    exchange.call = Call(
        Operation.CHAT, Dialect.OPENAI, "Tiny", stream=True, max_tokens=50, body={"temperature": 0.5, "stop": "canary"}
    )
    exchange.shape = Shape(stream=True)
    exchange.permit = permit(question(WHO, Operation.CHAT, "tiny"), obligations=obligations or Obligations())
    exchange.requested, exchange.model, exchange.engine, exchange.provider = "Tiny", "tiny", "box", "vllm"
    exchange.revision, exchange.agent = "r1", "curl"
    exchange.outcome = Outcome(200, finish="stop", usage=Usage(7, 3, 2, "engine"), bytes_in=80, bytes_out=900)
    exchange.stages = Stages(
        accepted=10.0,
        identified=10.001,
        received=10.002,
        parsed=10.002,
        decided=10.004,
        queued=10.005,
        turn=10.015,
        sent=10.016,
        first_byte=10.050,
        answered=10.099,
        done=10.1,
    )
    return exchange


def refused(reason: Reason, request_id: str = ID) -> Exchange:
    """A request that ended before it was anybody's."""
    exchange = Exchange(request_id, Client("10.1.2.3", 5, "lan"), "POST")
    exchange.outcome.status, exchange.outcome.reason = CAUSES[reason].status, reason
    exchange.stages.accepted, exchange.stages.done = 10.0, 10.001
    return exchange


class Clock:
    """A monotonic clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Numbers:
    """Randomness that counts."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            self._next += 1
            found += self._next.to_bytes(8, "big")
        return found


def placed(tracer: Tracer, exchange: Exchange, listener: ListenerTrace = NOBODY, **headers: str) -> Exchange:
    """`exchange`, as if it had come in with `headers`."""
    tracer.place(exchange, headers, listener)
    return exchange


EVERYTHING = Sampling(ratio=1.0)
NOTHING = Sampling(ratio=0.0)
