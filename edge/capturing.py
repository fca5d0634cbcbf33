"""Where the line meets the captures: begins one as the policy says, and ends it with what the caller was given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from edge.intake.routes import dialect_of
from edge.policy.enforcement import Asked, Enforcement, unforeseen
from edge.relay.tape import Tape
from edge.reply import Reply
from engines.catalogue import Catalogue
from observability.captures.log import CaptureLog
from observability.decisions.log import DecisionLogError
from policies.call import Operation
from policies.decision import NEEDS, Denial
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.obligations import Capture, Obligations
from policies.principal import Principal, Scope
from policies.reasons import Reason

HEADER: Final = "x-llm-gateway-capture"
"""In every answer of a captured request, so that callers know: `metadata` or `full`."""
_RETRY: Final = 1.0
_MOST_ASKED: Final = 32
_ASKED: Final = tuple(operation for operation, scope in NEEDS.items() if scope is Scope.INFERENCE)


async def begin_capture(captures: CaptureLog, exchange: Exchange, reply: Reply, wanted: Obligations) -> None:
    """From here on the request is captured. With `audit`, what it asks is on disk when this returns, else Refusal:
    a record that somebody relies on must not be missing. Without, no request fails because of its capture.
    """
    exchange.capture = wanted.capture
    if wanted.audit:
        try:
            await captures.promise(exchange)
        except DecisionLogError as error:
            exchange.capture = "none"
            reason = Reason.POLICY_UNAVAILABLE
            raise Refusal(reason, retry_after=_RETRY, detail=f"audit: capture: {error}") from None
    reply.always = {**reply.always, HEADER: wanted.capture}
    reply.tape = Tape(captures.most_bytes if wanted.capture == "full" else 0)


Foresight: TypeAlias = Capture | Literal["unknown"]

_ORDER: Final[tuple[Foresight, ...]] = ("none", "metadata", "unknown", "full")
"""What is not known may be anything; only `full` cannot become more."""


def most_of(levels: Iterable[Foresight]) -> Foresight:
    """The most of them, `none` if there are none."""
    return max(levels, key=_ORDER.index, default="none")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be captured now, by model (those of which nothing would be are not named). `left_out`: models that
    were not asked about."""

    models: Mapping[str, Foresight]
    left_out: int = 0


NO_CAPTURES: Final = Foreseen({})


async def foresee_captures(
    enforcement: Enforcement, exchange: Exchange, principal: Principal, names: Sequence[str], catalogue: Catalogue
) -> Foreseen:
    """What the policy says now of a plain request of `principal` for each of `names`."""
    asked = names[:_MOST_ASKED]

    async def level(name: str, operation: Operation) -> Foresight:
        wanted = Asked(operation, dialect_of(exchange.route), name)
        then = await enforcement.foresee(exchange, principal, wanted, catalogue.meaning)
        if isinstance(then, Denial):
            return "unknown" if unforeseen(then) else "none"
        return then.capture

    async def most(name: str) -> Foresight:
        return most_of([await level(name, operation) for operation in _ASKED])

    levels = await asyncio.gather(*map(most, asked))
    return Foreseen(
        {name: level for name, level in zip(asked, levels, strict=True) if level != "none"}, len(names) - len(asked)
    )


def end_capture(exchange: Exchange, reply: Reply) -> None:
    """Hand over what the caller was given."""
    if reply.tape is not None:
        exchange.answer = reply.tape.result(
            chat=exchange.call is not None and exchange.call.operation is Operation.CHAT
        )
