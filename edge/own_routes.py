"""The routes that the gateway answers itself, without an engine. What they say is in own.py and edge/dialects."""

from __future__ import annotations

from typing import Final

from edge import own
from edge.capturing import NO_CAPTURES, foresee_captures
from edge.dialects.ollama.answer import unloaded
from edge.dialects.writing import write
from edge.headers import call_headers, own_headers
from edge.intake.routes import HEALTH, Route
from edge.limits.standing import Standing
from edge.listener.inbound import Inbound
from edge.policy.enforcement import Asked
from edge.reply import Reply
from edge.responses.answers import Question, stored_answer
from edge.shared import Shared
from policies.call import Call, Operation
from policies.decision import Permit
from policies.exchange import Exchange
from policies.json import Object
from policies.principal import Principal

PREFLIGHT: Final = "preflight"
"""In place of a route: there is none for OPTIONS."""
OWN: Final = frozenset({Operation.ME, Operation.MODELS_LIST, Operation.MODELS_SHOW})


class OwnRoutes:
    """Each gives its answer, or raises one GatewayError."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def health(self, exchange: Exchange, reply: Reply) -> None:
        """Is this process there? Nobody has to be known for it."""
        exchange.route, exchange.trace = HEALTH, None  # whoever polls is no story
        exchange.outcome.status = 503 if self._shared.draining else 200
        await reply.whole(exchange.outcome.status, own_headers(exchange), own.health(draining=self._shared.draining))

    async def preflight(self, exchange: Exchange, reply: Reply, said: dict[str, str]) -> None:
        """A browser may ask. Nobody is known yet, and nothing is decided for the request that follows."""
        exchange.route, exchange.trace = PREFLIGHT, None
        exchange.outcome.status = 204
        await reply.whole(204, {"x-request-id": exchange.id, **said}, b"")

    async def about(self, exchange: Exchange, reply: Reply, principal: Principal, route: Route) -> None:
        """Who the caller is, which models it may use: the operations of OWN; one decision each, as for any other."""
        self._shared.locate(exchange)
        catalogue = self._shared.fleet.catalogue
        asked = Asked(
            route.operation,
            route.dialect,
            model=route.model,
            engine=route.engine or "",
            models=() if route.model else own.candidates(principal, catalogue),
        )
        permit = await self._shared.enforcement.permit(exchange, principal, asked, catalogue.meaning)
        exchange.model = permit.model if catalogue.resolve(permit.model) else ""
        exchange.stages.decided = self._shared.clock()
        visible = own.visible(permit, route, catalogue)
        standing: Standing | None = None
        captures = NO_CAPTURES
        if own.tells_who(route):
            names, where = [entry.name for entry in visible], exchange.client.listener
            standing = await self._shared.accounts.levels(principal, where, names, permit.obligations.rate_class)
            named, enforcement = [entry.id for entry in visible], self._shared.enforcement
            captures = await foresee_captures(enforcement, exchange, principal, named, catalogue)
        body = own.answer(
            permit,
            route,
            visible,
            now=self._shared.wall(),
            standing=standing,
            captures=captures,
            left=self._held,
            presets=self._shared.presets.names,
            dialects=self._ways(permit, route),
        )
        headers = {"content-type": own.media_type(route), **dict(permit.obligations.headers)}
        await self._give(exchange, reply, body, headers)

    async def stored(
        self, exchange: Exchange, inbound: Inbound, reply: Reply, principal: Principal, route: Route
    ) -> None:
        """A response that was kept: shown, deleted, or what was sent for it."""
        shared = self._shared
        ask = Question(exchange, principal, shared.enforcement, shared.fleet.catalogue)
        body = await stored_answer(shared.shelf, ask, route, inbound.query)
        exchange.stages.decided = shared.clock()
        await self._give(exchange, reply, body)

    async def unloaded(self, exchange: Exchange, reply: Reply, permit: Permit, call: Call) -> None:
        """To who wants a model unloaded: yes, and nothing happens."""
        body = write(unloaded(call, self._shared.wall()))
        await self._give(exchange, reply, body, call_headers(exchange, permit, call))

    @staticmethod
    async def _give(exchange: Exchange, reply: Reply, body: bytes, headers: dict[str, str] | None = None) -> None:
        exchange.outcome.status = 200
        await reply.whole(200, own_headers(exchange) | (headers or {}), body)

    def _ways(self, permit: Permit, route: Route) -> Object | None:
        """How the one model that is asked for is served in each dialect."""
        if permit.operation is not Operation.MODELS_SHOW:
            return None
        return {**self._shared.ways.dialects(self._shared.fleet.catalogue.resolve(permit.model, route.engine))}

    def _held(self, model: str) -> float:
        """Seconds for which some engine keeps `model` loaded."""
        queues, targets = self._shared.queues, self._shared.fleet.catalogue.resolve(model)
        return max((queues.of(target.engine).left(model) for target in targets), default=0.0)
