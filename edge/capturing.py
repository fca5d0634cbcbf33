"""Where the line meets the captures: begins one as the policy says, and ends it with what the caller was given."""

from __future__ import annotations

from typing import Final

from edge.relay.tape import Tape
from edge.reply import Reply
from observability.captures.log import CaptureLog
from observability.decisions.log import DecisionLogError
from policies.call import Operation
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.obligations import Obligations
from policies.reasons import Reason

HEADER: Final = "x-llm-gateway-capture"
"""In every answer of a captured request, so that callers know: `metadata` or `full`."""
_RETRY: Final = 1.0


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
    reply.marks = {HEADER: wanted.capture}
    reply.tape = Tape(captures.most_bytes if wanted.capture == "full" else 0)


def end_capture(exchange: Exchange, reply: Reply) -> None:
    """Hand over what the caller was given."""
    if reply.tape is not None:
        exchange.answer = reply.tape.result(
            chat=exchange.call is not None and exchange.call.operation is Operation.CHAT
        )
