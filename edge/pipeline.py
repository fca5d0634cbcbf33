"""The line every request walks. Reads like the list in DESIGN section 2:

    accept -> check the wire (both in edge/listener) -> identify -> parse the dialect -> decide
           -> take a turn -> choose the engine -> send(permit) -> relay and meter -> record

Every arrow either goes on or raises one GatewayError; `_fail` is the one place that says it to the caller, and
`_record` runs for every exchange, refused and cancelled ones included.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import Final

from edge.accounts import Account
from edge.capturing import begin_capture, end_capture
from edge.cors import CrossOrigin
from edge.dialects.registry import counted, failing_of, rendering_of
from edge.dialects.timing import Timing
from edge.dialects.writing import write
from edge.engine_choice import Choice, choose
from edge.headers import call_headers
from edge.identity.token import redact
from edge.intake.intake import check_content_type
from edge.intake.model_runner_params import check_query
from edge.intake.routes import Route, Routes, dialect_of, is_health
from edge.listener.inbound import Inbound
from edge.own_routes import OWN, OwnRoutes
from edge.policy.enforcement import Asked
from edge.policy.obligations import honour
from edge.presets.choice import unknown_model
from edge.progress import Progress, said_of
from edge.queue.contract import Phase, Wish
from edge.relay.counting import prompt_tokens
from edge.relay.native.flow import on_its_way
from edge.relay.native.ways import Way
from edge.relay.relay import Leg, Whole
from edge.reply import Reply
from edge.responses.answers import Question
from edge.responses.following import keeping, with_past
from edge.shared import Shared
from edge.stock.desk import StockDesk
from engines.adapters.registry import adapter_for
from engines.contract import Target
from engines.naming import Named
from observability.agents import family
from observability.ids import new_id
from observability.traces.trust import NOBODY, ListenerTrace
from policies.call import JUDGING, STOCK, Aim, Call, Dialect, Operation
from policies.decision import Permit
from policies.errors import EngineTimeout, GatewayError, Refusal
from policies.exchange import Exchange
from policies.input import shape_of, with_numbers
from policies.obligations import Priority
from policies.principal import Principal
from policies.reasons import CAUSES, Reason

_log = logging.getLogger(__name__)

_BANDS: Final[dict[str | None, Priority]] = {band.value: band for band in Priority}
_LISTINGS: Final = frozenset({Operation.MODELS_LIST, Operation.MODELS_SHOW})
_ANTHROPIC_VERSION: Final = "anthropic-version"


@dataclass(frozen=True, slots=True)
class Manner:
    """How one listener differs from another: `strict` parameters, `body_limit` in bytes, `trace` whose trace context
    counts, `cors` which pages may call. (Its networks are judged at its door.)"""

    body_limit: int
    strict: bool = False
    trace: ListenerTrace = NOBODY
    cors: CrossOrigin | None = None


class Line:
    """The handler of one listener."""

    def __init__(self, shared: Shared, manner: Manner, routes: Routes) -> None:
        self._shared = shared
        self._manner = manner
        self._routes = routes
        self._own = OwnRoutes(shared)
        self._stock = StockDesk(shared)

    async def __call__(self, inbound: Inbound) -> None:
        """Walk one request to its answer. Cancelled when the caller leaves."""
        shared = self._shared
        exchange = Exchange(id=new_id(shared.randomness), client=inbound.client, method=inbound.method)
        exchange.stages.accepted = shared.clock()
        exchange.agent = family(inbound.headers.get("user-agent", ""))
        self._shared.locate(exchange)
        reply = Reply(inbound)
        if self._manner.cors is not None:
            reply.always = self._manner.cors.answer(inbound.headers)
        try:
            with shared.inflight.scope(exchange):
                await self._walk(exchange, inbound, reply)
        except GatewayError as error:
            await self._fail(exchange, inbound, reply, error)
        except (asyncio.CancelledError, ConnectionError):
            if not inbound.cut:
                self._left(exchange)
                raise
            await self._fail(exchange, inbound, reply, Refusal(Reason.DRAINING, retry_after=5.0))
        except Exception as error:  # noqa: BLE001 - the last line of defence: opaque outside, loud inside
            _log.exception("request %s failed", exchange.id, exc_info=error)
            await self._fail(exchange, inbound, reply, Refusal(Reason.INTERNAL, detail=type(error).__name__))
        finally:
            self._record(exchange, reply)

    async def _walk(self, exchange: Exchange, inbound: Inbound, reply: Reply) -> None:
        self._trace(exchange, inbound, reply)
        if is_health(inbound.method, inbound.path):
            await self._own.health(exchange, reply)
            return
        if self._manner.cors is not None and (said := self._manner.cors.preflight(inbound, self._routes)) is not None:
            await self._own.preflight(exchange, reply, said)
            return
        principal = await self._identify(exchange, inbound)
        self._trace(exchange, inbound, reply)  # again: an authenticated caller may be trusted
        route = self._route(exchange, inbound)
        if self._shared.draining:
            raise Refusal(Reason.DRAINING, retry_after=5.0)
        if route.operation in OWN and inbound.method != "POST":
            await self._own.about(exchange, reply, principal, route)
            return
        # Before the body is read: what one credential makes the gateway hold is bounded too.
        async with self._shared.callers.turn(principal):
            if route.stored is not None:
                await self._own.stored(exchange, inbound, reply, principal, route)
                return
            call = await self._parse(exchange, inbound, route, principal)
            if route.operation in OWN:
                await self._own.about(exchange, reply, principal, replace(route, model=call.model))
            else:
                await self._serve(exchange, reply, principal, call)

    async def _serve(self, exchange: Exchange, reply: Reply, principal: Principal, call: Call) -> None:
        named = self._shared.fleet.catalogue.named(call.model)
        sent = self._fitted(exchange, principal, call, named)
        permit, targets = await self._decide(exchange, principal, sent)
        if permit.model != named.model:  # the policy has another model serve it
            sent = self._fitted(exchange, principal, call, named._replace(model=permit.model))
        call, wanted = sent, permit.obligations
        if call.aim is Aim.UNLOAD:
            await self._own.unloaded(exchange, reply, permit, call)
            return
        if wanted.capture != "none":
            await begin_capture(self._shared.captures, exchange, reply, wanted)
        async with self._shared.callers.turn_in(principal, wanted.rate_class), _Within(wanted.timeout_s) as limit:
            call = honour(wanted, call)
            if call.operation in STOCK:
                await self._stock.answer(exchange, reply, permit, call, targets)
            else:
                await self._answer(choose(self._shared, permit, call, targets, limit), exchange, reply, permit, call)

    async def _answer(self, choice: Choice, exchange: Exchange, reply: Reply, permit: Permit, call: Call) -> None:
        engine = choice.target.engine
        exchange.engine, exchange.provider = engine.name, engine.kind.value
        try:
            await self._answer_by(choice, exchange, reply, permit, call)
        finally:
            if not exchange.stages.sent:
                choice.tells_nothing()

    async def _answer_by(self, choice: Choice, exchange: Exchange, reply: Reply, permit: Permit, call: Call) -> None:
        target = choice.target
        adapter, transport = adapter_for(target.engine.kind), self._shared.transport

        async def count() -> int | None:
            return await prompt_tokens(permit, call, target, adapter, transport)

        accounts = self._shared.accounts
        async with accounts.open(exchange, permit, call, target) as account:
            wish = Wish(permit.principal.key_id, _band(permit), permit.model, streaming=call.stream)
            ticket = self._shared.queues.of(target.engine).turn(wish)
            exchange.progress = Progress(ticket, account.meter)
            leg = self._leg(exchange, reply, permit, account, began=ticket.began)
            exchange.stages.queued = self._shared.clock()
            # An estimate needs no turn; and a turn without a question would pass for a load of the model.
            idle = call.counts and call.operation not in JUDGING and adapter.prompt_path is None
            with leg.waiting(lambda: said_of(exchange), self._shared.pulse):
                async with contextlib.nullcontext() if idle else ticket:
                    exchange.stages.turn = self._shared.clock()
                    exchange.loaded = ticket.phase is Phase.LOADING
                    await accounts.measure(account, count)
                    try:
                        answer = await self._worked(choice, exchange, account, leg, count)
                    finally:
                        exchange.stages.answered = self._shared.clock()
                        usage = exchange.outcome.usage
                        ticket.charge(usage.input or account.meter.input, usage.output or account.meter.used)
                if answer is not None:
                    await accounts.note(exchange, account)
                # Out of the turn: a caller that reads slowly keeps its own slot, not the engine's.
                await leg.finish(answer)
            exchange.outcome.status = 200

    def _worked(
        self, choice: Choice, exchange: Exchange, account: Account, leg: Leg, count: Callable[[], Awaitable[int | None]]
    ) -> Awaitable[Whole | None]:
        """The engine's part. Counting says nothing of its health; who asks to tokenize wants no estimate of ours."""
        if not leg.call.counts:
            return choice.run(leg)
        return leg.run() if leg.call.operation in JUDGING else self._counted(exchange, account, count)

    async def _counted(self, exchange: Exchange, account: Account, count: Callable[[], Awaitable[int | None]]) -> Whole:
        """The prompt's tokens: by the engine where it can, else as far as its answers taught."""
        exchange.stages.sent = self._shared.clock()
        known = await count()
        if known is None:
            messages = exchange.shape.messages
            known = self._shared.accounts.estimate(exchange.model, account.chars, messages)
        return Whole(write(counted(account.call, known)), None)

    def _trace(self, exchange: Exchange, inbound: Inbound, reply: Reply) -> None:
        if (tracer := self._shared.tracer) is None:
            return
        tracer.place(exchange, inbound.headers, self._manner.trace)
        if exchange.trace is not None and exchange.trace.id != exchange.id:
            reply.always = {**reply.always, "x-trace-id": exchange.trace.id}

    async def _identify(self, exchange: Exchange, inbound: Inbound) -> Principal:
        principal = await self._shared.authenticator.authenticate(inbound.headers, inbound.client)
        exchange.principal = principal
        exchange.stages.identified = self._shared.clock()
        inbound.mark_authenticated()
        return principal

    def _route(self, exchange: Exchange, inbound: Inbound) -> Route:
        route = self._routes.match(inbound.method, inbound.path)
        if route is None:
            raise Refusal(Reason.UNKNOWN_ROUTE)
        exchange.route = route.pattern
        if route.dialect is Dialect.MODEL_RUNNER:
            check_query(inbound.query)
        if route.dialect is Dialect.OPENAI and route.operation in _LISTINGS and _ANTHROPIC_VERSION in inbound.headers:
            return replace(route, dialect=Dialect.ANTHROPIC)  # `/v1/models` is a route of both dialects
        return route

    async def _parse(self, exchange: Exchange, inbound: Inbound, route: Route, principal: Principal) -> Call:
        bodiless = bool(route.model)  # DELETE /models/{id}: all is in the path
        if not bodiless:
            check_content_type(inbound.headers)
        body = b"{}" if bodiless else await inbound.body(self._manner.body_limit)
        exchange.outcome.bytes_in = 0 if bodiless else len(body)
        exchange.stages.received = self._shared.clock()
        exchange.call = await self._shared.parser.read_call(route, body, strict=self._manner.strict)
        # From here on a refusal is said in the call's own dialect.
        exchange.requested = redact(exchange.call.model)  # a key pasted into the wrong field is a valid model name
        shared = self._shared
        ask = Question(exchange, principal, shared.enforcement, shared.fleet.catalogue)
        call = await with_past(shared.shelf, shared.parser, ask, route, exchange.call)
        exchange.call, exchange.shape = call, shape_of(call)
        exchange.stages.parsed = self._shared.clock()
        return call

    def _fitted(self, exchange: Exchange, principal: Principal, call: Call, named: Named) -> Call:
        """`call` with its presets' defaults and bounds: what policy, limits and engine see."""
        call = self._shared.presets.fit(call, principal, named)
        if call.presets:
            exchange.call, exchange.shape = call, with_numbers(exchange.shape, call)
        return call

    async def _decide(self, exchange: Exchange, principal: Principal, call: Call) -> tuple[Permit, tuple[Target, ...]]:
        """Permission first, existence after: only who may use a model learns whether there is one."""
        self._shared.locate(exchange)
        fleet = self._shared.fleet
        usage = await self._shared.accounts.counters(principal)
        asked = Asked(call.operation, call.dialect, call.model, call.engine or "", exchange.shape, usage=usage)
        permit = await self._shared.enforcement.permit(exchange, principal, asked, fleet.catalogue.meaning)
        exchange.stages.decided = self._shared.clock()
        if call.operation is Operation.MODELS_PULL:
            return permit, ()  # which is asked for because it is not there
        # By the permitted name itself, since names may mean other models by now: presets come and go at any time.
        if not fleet.catalogue.having(permit.model):
            _ = await fleet.look_again(permit.model)
        if not fleet.catalogue.having(permit.model):
            if fleet.missing(permit.model):
                raise Refusal(Reason.NO_ENGINE, retry_after=5.0)
            raise unknown_model(permit)
        exchange.model = permit.model  # only now: what is no model may be anything, and stays out of the access line
        targets = fleet.catalogue.having(permit.model, call.engine)
        if not targets:
            raise Refusal(Reason.NO_ENGINE, retry_after=5.0)
        return permit, targets

    def _leg(
        self, exchange: Exchange, reply: Reply, permit: Permit, account: Account, *, began: Callable[[], None]
    ) -> Leg:
        shared, call, target = self._shared, account.call, account.target
        exchange.asked = call
        rendering = rendering_of(call, exchange.id, Timing(exchange, shared.clock, shared.wall))
        reply.failing = failing_of(rendering)
        exchange.way = (Way.NATIVE if call.dialect is Dialect.OPENAI else Way.TRANSLATED).value
        salt = hashlib.blake2b(permit.principal.key_id.encode(), key=shared.salt_key, digest_size=16).hexdigest()
        leg = Leg(
            exchange=exchange,
            reply=reply,
            permit=permit,
            call=call,
            target=target,
            adapter=adapter_for(target.engine.kind),
            transport=shared.transport,
            tasks=shared.tasks,
            clock=shared.clock,
            headers={**call_headers(exchange, permit, call), **account.headers},
            salt=salt,
            began=began,
            meter=account.meter,
            rendering=rendering,
            said=keeping(shared.shelf, permit.principal.id, call, rendering),
        )
        return on_its_way(leg, shared.ways)

    async def _fail(self, exchange: Exchange, inbound: Inbound, reply: Reply, error: GatewayError) -> None:
        outcome = exchange.outcome
        outcome.reason, outcome.detail, outcome.limit = error.reason, error.detail, error.limit
        dialect = exchange.call.dialect if exchange.call else dialect_of(inbound.path)
        try:
            # 0: nothing could be said any more, and the caller saw the beginning of a 200.
            outcome.status = await reply.fail(error, dialect, exchange.id) or HTTPStatus.OK
        except (asyncio.CancelledError, ConnectionError):
            outcome.status = CAUSES[Reason.CLIENT_GONE].status
            raise

    @staticmethod
    def _left(exchange: Exchange) -> None:
        if exchange.outcome.told:  # Codex hangs up as soon as it has read `response.completed`
            exchange.outcome.status = HTTPStatus.OK
            return
        exchange.outcome.reason = Reason.CLIENT_GONE
        exchange.outcome.status = CAUSES[Reason.CLIENT_GONE].status

    def _record(self, exchange: Exchange, reply: Reply) -> None:
        exchange.outcome.bytes_out = reply.sent
        end_capture(exchange, reply)
        self._shared.locate(exchange)
        exchange.stages.done = self._shared.clock()
        exchange.progress = None  # whoever keeps the exchange does not keep all that was needed to serve it
        self._shared.observers.ended(exchange, self._shared.wall())


class _Within:
    """EngineTimeout if the seconds that the policy gives are over before; None: it sets no limit."""

    __slots__ = ("_limit",)

    def __init__(self, seconds: float | None) -> None:
        self._limit = asyncio.timeout(seconds)

    async def __aenter__(self) -> asyncio.Timeout:
        if self._limit.when() is not None:
            await self._limit.__aenter__()
        return self._limit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limit.when() is None:
            return
        try:
            await self._limit.__aexit__(kind, error, trace)
            if isinstance(error, TimeoutError) and self._limit.expired():
                raise error
        except TimeoutError:
            raise EngineTimeout("the policy's timeout_s") from None


def _band(permit: Permit) -> Priority:
    """The policy's word, else the credential's own, else the middle."""
    return permit.obligations.priority or _BANDS.get(permit.principal.quota.priority, Priority.NORMAL)
