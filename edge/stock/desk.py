"""One request that changes which models there are, from its permit to its answer.

What it asks is decided, counted, written down and recorded like any other; tokens and time on an engine it has none.
A caller that leaves leaves the engine: Ollama and Model Runner stop then, keep what has come, and go on from there when
asked again (docs/decisions/0038).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from http import HTTPStatus

from edge.dialects.registry import stock_rendering
from edge.dialects.stock import StockRendering
from edge.headers import call_headers, own_headers
from edge.reply import NEVER, Reply
from edge.shared import Shared
from edge.stock.choosing import fetcher, loser, spelling
from edge.stock.deleting import check_spelling, check_unused, delete
from edge.stock.looking import lost, seen
from edge.stock.sources import check_source
from engines.contract import Engine, Model, Target
from engines.pulling import MISSING, PullRefused, Tally, fetch
from policies.call import Call, Operation
from policies.decision import Permit
from policies.errors import EngineBroke, GatewayError, Refusal
from policies.exchange import Exchange
from policies.reasons import Reason

_log = logging.getLogger(__name__)


class StockDesk:
    """One for each listener; what they share is in `Shared`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def answer(
        self, exchange: Exchange, reply: Reply, permit: Permit, call: Call, targets: Sequence[Target]
    ) -> None:
        """Do what `call` asks, and say so; raises one GatewayError. `targets`: who has the model."""
        if call.operation is Operation.MODELS_PULL:
            await self._pull(exchange, reply, permit, call)
        else:
            await self._delete(exchange, reply, permit, call, targets)

    async def _pull(self, exchange: Exchange, reply: Reply, permit: Permit, call: Call) -> None:
        shared, fleet = self._shared, self._shared.fleet
        name = spelling(call.model, permit.model)
        settings = shared.pulls.settings
        check_source(name, settings.registries)
        holders = [target.engine for target in fleet.offers(permit.model)]
        engine = fetcher(fleet.engines, name, call.dialect, holders=holders, named=settings.engine)
        exchange.engine, exchange.provider = engine.name, engine.kind.value
        if holders:  # else it is a name that anybody could make up
            exchange.model = permit.model
        target = Target(engine, Model(permit.model, name))
        with shared.pulls.take(permit.model, permit.principal.key_id):
            async with shared.accounts.open(exchange, permit, call, target) as account:
                rendering = stock_rendering(call)
                headers = _headers(exchange, permit, call) | account.headers | {"content-type": rendering.content_type}
                if call.stream:
                    _ = reply.streams(headers, shared.tasks, str, NEVER)
                await self._fetch(exchange, reply, engine, name, rendering, stream=call.stream)
                exchange.model = permit.model
                if not await seen(fleet, permit.model):
                    _log.warning("engine %s has fetched a model that it does not list under its name", engine.name)
                if call.stream:
                    await reply.write(rendering.pulled())
                    await reply.end()
                else:
                    await reply.whole(HTTPStatus.OK, headers | {"content-type": "application/json"}, rendering.pulled())
                exchange.outcome.status = HTTPStatus.OK

    async def _fetch(
        self, exchange: Exchange, reply: Reply, engine: Engine, name: str, rendering: StockRendering, *, stream: bool
    ) -> None:
        """Relay how far the engine is. The first line of an answer waits for the engine's first layer, so that what the
        registry does not have is said with its status."""
        shared, stages, tally = self._shared, exchange.stages, Tally()
        stages.queued = stages.turn = stages.sent = shared.clock()
        try:
            async with aclosing(fetch(shared.transport, engine, name)) as lines:
                async for pulled in lines:
                    stages.first_byte = stages.first_byte or shared.clock()
                    _ = tally.take(pulled)
                    if stream and (line := rendering.progress(pulled, tally)):
                        await reply.write(line)
        except PullRefused as error:
            raise _refused(error) from None
        finally:
            stages.answered = shared.clock()

    async def _delete(
        self, exchange: Exchange, reply: Reply, permit: Permit, call: Call, targets: Sequence[Target]
    ) -> None:
        shared, stages = self._shared, exchange.stages
        check_spelling(call.model, shared.fleet.catalogue)
        target = loser(targets, call.dialect)
        exchange.engine, exchange.provider = target.engine.name, target.engine.kind.value
        others = (other for other in shared.inflight.exchanges() if other is not exchange)
        check_unused(target, others, shared.pulls)
        async with shared.accounts.open(exchange, permit, call, target) as account:
            stages.queued = stages.turn = stages.sent = shared.clock()
            try:
                await delete(shared.transport, permit, target)
            finally:
                stages.answered = shared.clock()
            _ = await seen(shared.fleet, permit.model, lambda found: lost(found, target))
            headers = _headers(exchange, permit, call) | account.headers
            await reply.whole(HTTPStatus.OK, headers, stock_rendering(call).deleted(call.model))
            exchange.outcome.status = HTTPStatus.OK


def _headers(exchange: Exchange, permit: Permit, call: Call) -> dict[str, str]:
    return own_headers(exchange) | call_headers(exchange, permit, call)


def _refused(error: PullRefused) -> GatewayError:
    """What the caller is told: whether there is such a model, and nothing in the engine's words."""
    return Refusal(Reason.MODEL_NOT_IN_REGISTRY) if error.cause == MISSING else EngineBroke(error.cause)
