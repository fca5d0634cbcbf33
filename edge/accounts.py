"""What one request holds and is charged: opened before the engine is asked, settled in one place whatever happens.

    seats -> hold (all windows at once) -> journal (on disk) -> ... the engine ... -> settle all three

The hold is the prompt's tokens as estimated and what the answer will probably have; while it runs it holds more as it
needs it (meter.py), so that nothing is ever relayed that was not held. What is settled is what the engine reports, or
what was relayed where it reports nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from edge.ledger.entry import VOID, Hold, Ledger, LedgerDown, Progress, Settled
from edge.limits.contract import Actual, Ask, Budget, Full, Held, Lease, Leases, Level, Meter, Over, Seats, StoreDown
from edge.limits.estimate import Estimates
from edge.limits.rules import Applying, Asking, Rules
from edge.limits.words import headers, refusal, seats_refusal
from edge.relay.meter import Meter as TokenMeter
from edge.relay.prompt import expected_choices
from engines.contract import Target
from policies.call import Call, Operation
from policies.decision import Permit
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.input import Counters
from policies.principal import Principal
from policies.reasons import Reason

_GENERATED: Final = frozenset({Meter.OUTPUT, Meter.TOKENS})
_COUNTED: Final = frozenset({"engine", "timings", "counted"})
_RETRY: Final = 2.0
_MS: Final = 1000


@dataclass(slots=True)
class Account:
    """One request's. `call` is the call as it may be sent, `headers` say what is left.

    `note()` writes down what the engine has counted, before a whole answer is given to the caller.
    """

    call: Call
    headers: dict[str, str]
    meter: TokenMeter
    held: Held
    target: Target
    note: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request is held to: `prompt` is the engine's own count of its tokens, None if nobody counted."""

    applying: Applying
    prompt: int | None


Count: TypeAlias = Callable[[], Awaitable[int | None]]


async def _nobody() -> int | None:
    return None


class Accounts:
    """One for all listeners."""

    def __init__(
        self,
        rules: Rules,
        budget: Budget,
        leases: Leases,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._rules = rules
        self._budget = budget
        self._leases = leases
        self._ledger = ledger
        self._estimates = Estimates()
        self._clock = clock
        self._wall = wall
        self._running: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def open(
        self, exchange: Exchange, permit: Permit, call: Call, target: Target, count: Count = _nobody
    ) -> AsyncIterator[Account]:
        """Hold what the request needs; Refusal if a limit is used up, or where the stores are away.

        `count` asks the engine for the prompt's tokens; it is asked only where a limit depends on them.
        """
        asking = Asking(permit.principal, permit.model, exchange.client.listener, permit.obligations.rate_class)
        applying = self._rules.applying(asking, self._wall())
        lease = await self._sit(applying.seats)
        self._running[permit.principal.key_id] += 1
        try:
            prompt = await count() if applying.meters_input else None
            account = await self._hold(exchange, permit, call, target, Terms(applying, prompt))
            try:
                await self._write(exchange, permit, account)
                yield account
            finally:
                await self._settle(exchange, permit, account)
        finally:
            self._leave(permit.principal.key_id)
            if lease is not None:
                await self._leases.release(lease)

    def _leave(self, key: str) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]  # keys must not fill the memory

    async def counters(self, principal: Principal) -> Counters:
        """What policies are told of the credential; zeros while the store is away."""
        running = self._running.get(principal.key_id, 0)
        try:
            levels = await self._budget.levels(self._rules.watched(principal))
        except StoreDown:
            return Counters(concurrent=running)
        requests_min, tokens_min, tokens_day = (level.used for level in levels)
        return Counters(requests_min, tokens_min, tokens_day, running)

    async def levels(self, principal: Principal, listener: str) -> tuple[Level, ...]:
        """How full the caller's limits are, but for those of single models; () while the store is away."""
        applying = self._rules.applying(Asking(principal, "", listener), self._wall())
        try:
            levels = await self._budget.levels(applying.bounds)
        except StoreDown:
            return ()
        return tuple(level for level in levels if level.bound.name)

    async def _sit(self, seats: tuple[Seats, ...]) -> Lease | None:
        if not seats:
            return None
        try:
            lease = await self._leases.take(seats)
        except StoreDown as error:
            raise _down(error) from None
        if isinstance(lease, Full):
            raise seats_refusal(lease)
        return lease

    async def _hold(self, exchange: Exchange, permit: Permit, call: Call, target: Target, terms: Terms) -> Account:
        applying = terms.applying
        key, model = permit.principal.key_id, permit.model
        answers = 0 if call.operation is Operation.EMBEDDINGS else expected_choices(call)
        prompt = terms.prompt or self._estimates.input(model, exchange.shape.input_chars, exchange.shape.messages)
        wanted = self._estimates.output(key, model) * answers
        if call.max_tokens is not None:
            wanted = min(wanted, call.max_tokens * answers)
        ask = Ask(
            applying.bounds, requests=1, input=prompt, output=wanted, least=min(answers, wanted), gpu_ms=applying.gpu_ms
        )
        try:
            held = await self._budget.hold(ask)
        except StoreDown as error:
            raise _down(error) from None
        if isinstance(held, Over):
            raise refusal(held)
        exchange.outcome.estimated, exchange.outcome.shadowed = prompt, held.shadowed
        left = _left(held) if applying.meters_output and answers else None
        if left is not None:
            each = max(1, left // answers)
            call = replace(call, max_tokens=each if call.max_tokens is None else min(call.max_tokens, each))

        def checkpoint(used: int) -> None:
            self._ledger.progress(Progress(exchange.id, self._wall(), prompt, used))

        def note() -> None:
            usage = exchange.outcome.usage
            self._ledger.progress(
                Progress(exchange.id, self._wall(), usage.input or prompt, usage.output or meter.used)
            )

        meter = TokenMeter(
            None if left is None else held.granted,
            lambda tokens: self._more(held, tokens),
            checkpoint,
            self._clock,
            prompt=prompt,
        )
        return Account(call, headers(held.levels), meter, held, target, note)

    async def _more(self, held: Held, tokens: int) -> int:
        try:
            return await self._budget.extend(held, tokens)
        except StoreDown:
            return 0

    async def _write(self, exchange: Exchange, permit: Permit, account: Account) -> None:
        who = permit.principal
        hold = Hold(
            request_id=exchange.id,
            at=self._wall(),
            key=who.key_id,
            owner=who.id,
            groups=tuple(sorted(who.groups)),
            listener=exchange.client.listener,
            model=permit.model,
            engine=account.target.engine.name,
            operation=account.call.operation.value,
            stream=account.call.stream,
            input=account.held.ask.input,
            output=account.held.granted,
        )
        try:
            await self._ledger.hold(hold)
        except LedgerDown as error:
            raise Refusal(Reason.LEDGER_UNAVAILABLE, retry_after=_RETRY, detail=str(error)) from None

    async def _settle(self, exchange: Exchange, permit: Permit, account: Account) -> None:
        """The three accounts of a request that is over, however it ended."""
        outcome, stages, usage = exchange.outcome, exchange.stages, exchange.outcome.usage
        now = self._clock()
        if not stages.sent:
            await asyncio.shield(self._budget.settle(account.held, Actual(requests=0)))
            self._ledger.settle(Settled(exchange.id, self._wall(), 0, 0, status=outcome.status, reason=VOID))
            return
        usage.input = account.meter.input if usage.input is None else usage.input
        usage.output = account.meter.used if usage.output is None else usage.output
        if usage.source == "none":
            usage.source = "metered"
        gpu_ms = round(((stages.answered or now) - stages.sent) * _MS)
        await self._budget.settle(account.held, Actual(usage.input, usage.output, gpu_ms))
        self._ledger.settle(
            Settled(
                exchange.id,
                self._wall(),
                usage.input,
                usage.output,
                cached=usage.cached,
                gpu_ms=gpu_ms,
                status=outcome.status,
                reason=outcome.reason.value if outcome.reason else "",
                finish=outcome.finish,
                source=usage.source,
            )
        )
        if usage.source in _COUNTED:
            model, shape = permit.model, exchange.shape
            self._estimates.learn_input(model, shape.input_chars, shape.messages, usage.input)
            self._estimates.learn_output(permit.principal.key_id, model, usage.output)


def _left(held: Held) -> int:
    """Output tokens that every limit leaves this request in all, those it holds already among them."""
    bounds = (level.left for level in held.levels if level.bound.meter in _GENERATED and not level.bound.shadow)
    return held.granted + min(bounds, default=0)


def _down(error: StoreDown) -> Refusal:
    return Refusal(Reason.LIMITS_UNAVAILABLE, retry_after=_RETRY, detail=str(error))
