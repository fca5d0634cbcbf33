"""Has an engine delete a model, unless somebody needs it."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from edge.stock.pulls import Pulls
from engines.adapters.registry import adapter_for
from engines.catalogue import Catalogue
from engines.contract import StockTransport, Target
from policies.decision import Permit
from policies.errors import GatewayError, Refusal
from policies.exchange import Exchange
from policies.names import canonical
from policies.reasons import Reason

NO_PRESET: Final = "A preset is no part of what is deleted: name the model alone."
_ANSWER: Final = 1 << 20


def check_spelling(name: str, catalogue: Catalogue) -> None:
    """Refusal(INVALID_PARAMETER) for a `name` with a preset behind it: an engine may list just that, and what it means
    here, and who says it would lose, is the model without."""
    means = catalogue.named(name)
    if means.preset and means.alias != canonical(name):  # an alias is the operator's word for its model, preset or not
        raise Refusal(Reason.INVALID_PARAMETER, param="model", hint=NO_PRESET)


def check_unused(target: Target, others: Iterable[Exchange], pulls: Pulls) -> None:
    """Refusal(MODEL_IN_USE) while the model is being fetched, or one of `others` is answered by it or waits for that.

    Of requests of other gateways nothing is known here; an engine may say that it is in use, too.
    """
    name = target.model.name
    answering = any(
        (other.engine, other.model) == (target.engine.name, name) and not other.stages.answered for other in others
    )
    if answering or pulls.fetches(name):
        raise Refusal(Reason.MODEL_IN_USE)


async def delete(transport: StockTransport, permit: Permit, target: Target) -> None:
    """Return when the engine has deleted it; one GatewayError if it has not."""
    async with transport.delete(permit, target) as got:
        body = await got.read(_ANSWER)
        if error := _undeleted(target, got.status, got.content_type, body):
            raise error


def _undeleted(target: Target, status: int, content_type: str, body: bytes) -> GatewayError | None:
    """Why the engine did not delete it, None if it did."""
    match status:
        case HTTPStatus.OK | HTTPStatus.NO_CONTENT:
            return None
        case HTTPStatus.CONFLICT:
            return Refusal(Reason.MODEL_IN_USE, detail="the engine says so")
        case HTTPStatus.NOT_FOUND:  # somebody was quicker: as if it had never been there
            return Refusal(Reason.MODEL_NOT_PERMITTED, detail="the engine has it no longer")
        case _:
            return adapter_for(target.engine.kind).explain(status, content_type, body, None)
