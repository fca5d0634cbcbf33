"""What a request goes on from, before it is decided on, and how its answer is kept, before the caller has its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from edge.dialects.contract import Rendering
from edge.dialects.responses.answer import ResponsesRendering
from edge.dialects.responses.kept import wanted_of
from edge.intake.intake import continued
from edge.intake.offload import Parser
from edge.intake.routes import Route
from edge.responses.answers import Question
from edge.responses.shelf import Shelf
from policies.call import Call, Dialect


async def with_past(shelf: Shelf, parser: Parser, ask: Question, route: Route, call: Call) -> Call:
    """`call` with the earlier responses of its owner that it needs, where its dialect has any. What policy, limits and
    engine see is all of it. Refusal, also for a caller that may not use a model which said some of it: it could have it
    repeated by another one."""
    if call.dialect is not Dialect.RESPONSES:
        return call
    call.asked["store"] = shelf.keeps(call)
    if not (wanted := wanted_of(call.asked)):
        return call
    past = await shelf.past(ask.principal.id, wanted)
    for model in sorted(past.models - {call.model}):
        await ask.permit(route, model)
        ask.exchange.permit = None  # of another model: no record is to take it for what this request was allowed
    size = past.size + ask.exchange.outcome.bytes_in  # what is sent now is checked again, too
    return await parser.aside(size, lambda: continued(call, past.history, past.named))


def keeping(shelf: Shelf, owner: str, call: Call, rendering: Rendering) -> Callable[[], Awaitable[None]] | None:
    """What keeps the answer that `rendering` will have made, None if it is not to be kept."""
    if not isinstance(rendering, ResponsesRendering) or not call.asked.get("store"):
        return None

    async def keep() -> None:
        if rendering.response is not None:
            await shelf.keep(owner, call.asked, rendering.response, rendering.request_id)

    return keep
