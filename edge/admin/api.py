"""The admin listener beyond health: who is it, may they, which route, one answer, one access line.

As on the data plane a stranger learns nothing, not even which routes there are: 401 comes before 404.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from edge.admin.answers import Answer, Ask, Flow, Route
from edge.admin.flowing import Flowing
from edge.dialects.errors import render
from edge.identity.authenticate import Authenticator
from edge.inflight import Inflight
from edge.listener.inbound import Inbound
from observability.observers import Observer
from policies.call import Dialect
from policies.decision import within
from policies.errors import GatewayError, Refusal
from policies.exchange import Exchange
from policies.principal import Principal, Scope
from policies.reasons import CAUSES, Reason

_log = logging.getLogger(__name__)
_NO_STORE: Final = "no-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminApi:
    """`routes` by method and path; `scopes` names for some of them the scope that opens it beside `admin`. `clock` is
    monotonic, `wall` seconds since the epoch. `inflight` is the data plane's: a revoked or expired key ends what it
    waits for here as well.
    """

    authenticator: Authenticator
    routes: Mapping[tuple[str, str], Route]
    scopes: Mapping[tuple[str, str], Scope] = field(default_factory=dict)
    observer: Observer
    clock: Callable[[], float]
    wall: Callable[[], float]
    inflight: Inflight = field(default_factory=Inflight)

    async def __call__(self, inbound: Inbound, request_id: str) -> None:
        """Answer one request. Cancelled when the caller leaves."""
        exchange = Exchange(id=request_id, client=inbound.client, method=inbound.method)
        exchange.stages.accepted = self.clock()
        try:
            answer = await self._answer(exchange, inbound)
            if answer is not None:
                exchange.outcome.status, exchange.outcome.bytes_out = answer.status, len(answer.body)
                await inbound.answer(answer.status, {**_headers(exchange), **answer.headers}, answer.body)
        except (asyncio.CancelledError, ConnectionError):
            exchange.outcome.reason = Reason.CLIENT_GONE
            exchange.outcome.status = CAUSES[Reason.CLIENT_GONE].status
            raise
        finally:
            exchange.stages.done = self.clock()
            self.observer.ended(exchange, self.wall())

    async def _answer(self, exchange: Exchange, inbound: Inbound) -> Answer | None:
        """The route's answer, or the one of its error; None once one that goes on has been sent."""
        flowing: Flowing | None = None
        failed: GatewayError | None = None
        try:
            with self.inflight.scope(exchange):
                answer = await self._walk(exchange, inbound)
                if isinstance(answer, Answer):
                    return answer
                flowing = Flowing(inbound, answer, _headers(exchange))
                await flowing.run()
        except GatewayError as error:
            failed = error
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: opaque outside, loud inside
            _log.exception("admin request %s failed", exchange.id, exc_info=error)
            failed = Refusal(Reason.INTERNAL, detail=type(error).__name__)
        finally:
            if flowing is not None and flowing.begun:
                exchange.outcome.status, exchange.outcome.bytes_out = HTTPStatus.OK, flowing.sent
        if failed is None:
            return None
        answer = _failure(exchange, failed)
        if flowing is None or not flowing.begun:
            return answer
        await flowing.end(failed.reason)
        return None

    async def _walk(self, exchange: Exchange, inbound: Inbound) -> Answer | Flow:
        principal = exchange.principal = await self._admit(inbound)
        exchange.stages.identified = self.clock()
        route = self.routes.get((inbound.method, inbound.path))
        if route is None:
            raise Refusal(Reason.UNKNOWN_ROUTE)
        exchange.route = inbound.path

        async def readmit() -> None:
            _ = await self._admit(inbound)

        return await route(Ask(inbound, principal, readmit))

    async def _admit(self, inbound: Inbound) -> Principal:
        """Who may, calling from where the key may be used. Refusal as `Authenticator`, and the two of policy."""
        principal = await self.authenticator.authenticate(inbound.headers, inbound.client)
        inbound.mark_authenticated()
        client = inbound.client
        elsewhere = principal.listeners and client.listener not in principal.listeners
        if elsewhere or (principal.networks and not within(client.ip, principal.networks)):
            raise Refusal(Reason.PLACE_NOT_PERMITTED)
        also = self.scopes.get((inbound.method, inbound.path), Scope.ADMIN)
        if principal.scopes.isdisjoint({Scope.ADMIN, also}):
            raise Refusal(Reason.SCOPE_MISSING)
        return principal


def _headers(exchange: Exchange) -> dict[str, str]:
    return {"x-request-id": exchange.id, "cache-control": _NO_STORE}


def _failure(exchange: Exchange, error: GatewayError) -> Answer:
    exchange.outcome.reason, exchange.outcome.detail = error.reason, error.detail
    return Answer(*render(error, Dialect.OPENAI, exchange.id))
