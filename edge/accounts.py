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
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from edge.charging import Ending, clamped, ending_of, used
from edge.ledger.entry import COUNTED, VOID, Hold, Ledger, LedgerDown, Progress, Settled
from edge.limits.contract import (
    LARGEST,
    Actual,
    Ask,
    Budget,
    Full,
    Held,
    Lease,
    Leases,
    Over,
    Seats,
    StoreDown,
)
from edge.limits.estimate import Estimates
from edge.limits.rules import Applying, Asking, Rules
from edge.limits.standing import Standing, standing
from edge.limits.words import headers, refusal, seats_refusal
from edge.relay.meter import Meter
from edge.relay.prompt import expected_choices, extra_chars
from engines.contract import Target
from policies.call import GENERATING, STOCK, Call, Operation
from policies.decision import Permit
from policies.errors import GatewayError, Refusal
from policies.exchange import Exchange
from policies.input import Counters
from policies.principal import Principal
from policies.reasons import Reason

_RETRY: Final = 2.0
_SEAT_PAUSES: Final = (0.02, 0.05, 0.1)
"""Seconds. Who has read the end of an answer may ask again before its seat is given back, above all in Redis."""
_MS: Final = 1000
_AT_RISK: Final = 1.0
"""Seconds of an answer that the ledger may lack after a crash (docs/decisions/0020)."""


_NOTHING: Final = Actual(requests=0)


@dataclass(slots=True)
class Account:
    """One request's. `call` is the call as it may be sent, `headers` say what is left, `chars` is the prompt's size."""

    call: Call
    target: Target
    answers: int
    chars: int
    headers: dict[str, str]
    meter: Meter
    held: Held
    measured: bool
    """Whether the prompt's tokens are limited, so that they should be counted exactly."""
    top: Held | None = None
    """What the engine's own count of the prompt is above the estimate."""


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
        remote: bool = False,
    ) -> None:
        """`remote`: the stores are elsewhere, and to give back takes a while in which the request may be cancelled."""
        self._remote = remote
        self._rules = rules
        self._budget = budget
        self._leases = leases
        self._ledger = ledger
        self._estimates = Estimates()
        self._clock = clock
        self._wall = wall
        self._running: Counter[str] = Counter()

    def open(
        self, exchange: Exchange, permit: Permit, call: Call, target: Target
    ) -> AbstractAsyncContextManager[Account]:
        """Hold what the request needs; Refusal if a limit is used up, or where the stores are away."""
        return _Opened(self, exchange, permit, call, target)

    async def begin(
        self, exchange: Exchange, permit: Permit, call: Call, target: Target
    ) -> tuple[Lease | None, Account]:
        """See `open`, which is how to call this; what it gives is for `end`."""
        asking = Asking(permit.principal, permit.model, exchange.client.listener, permit.obligations.rate_class)
        applying = self._rules.applying(asking, self._wall())
        lease = await self._sit(exchange, applying.seats) if applying.seats else None
        self._running[permit.principal.key_id] += 1
        try:
            account = await self._hold(exchange, permit, call, target, applying)
        except BaseException:
            await self._stand_up(permit, lease)
            raise
        try:
            await self._write(exchange, permit, account)
        except BaseException as error:
            await self.end(exchange, permit, lease, account, error)
            raise
        return lease, account

    async def end(
        self, exchange: Exchange, permit: Permit, lease: Lease | None, account: Account, error: BaseException | None
    ) -> None:
        """The request is over; `error` is how it ended if not well."""
        if isinstance(error, GatewayError):
            error.headers = {**account.headers, **error.headers}
        try:
            await self._settle(exchange, permit, account, ending_of(exchange, error))
        finally:
            await self._stand_up(permit, lease)

    async def _stand_up(self, permit: Permit, lease: Lease | None) -> None:
        self._leave(permit.principal.key_id)
        if lease is not None:
            await self._surely(self._leases.release(lease))

    def _leave(self, key: str) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]  # keys must not fill the memory

    async def counters(self, principal: Principal) -> Counters:
        """What policies are told of the credential. Refusal while the store is away: a policy must not take that for
        nothing used."""
        running = self._running.get(principal.key_id, 0)
        try:
            levels = await self._budget.levels(self._rules.watched(principal))
        except StoreDown as error:
            raise _down(error) from None
        requests_min, tokens_min, tokens_day = (level.used for level in levels)
        return Counters(requests_min, tokens_min, tokens_day, running)

    async def levels(
        self, principal: Principal, listener: str, models: Sequence[str] = (), rate_class: str | None = None
    ) -> Standing | None:
        """How full the caller's limits are, and those of single `models` (canonical); None while the store is away."""
        asking = Asking(principal, "", listener, rate_class)
        try:
            return await standing(self._rules, self._budget, self._leases, asking, models, now=self._wall())
        except StoreDown:
            return None

    async def measure(self, account: Account, count: Callable[[], Awaitable[int | None]]) -> None:
        """Let the engine count the prompt where a limit depends on it, and hold what the estimate lacks.

        To be called in the turn: only who may use the engine now, and whose request is on disk, makes it work. Refusal
        if so much is not left.
        """
        if not account.measured:
            return
        held = account.held
        counted = min(await count() or 0, LARGEST)
        if counted > held.ask.input:
            more = Ask(held.ask.bounds, requests=0, input=counted - held.ask.input)
            account.top = await self._held(more)
        account.meter.input = counted or account.meter.input

    def estimate(self, model: str, chars: int, messages: int) -> int:
        """Tokens that such a prompt probably has."""
        return min(self._estimates.input(model, chars, messages), LARGEST)

    async def note(self, exchange: Exchange, account: Account) -> None:
        """Write down what the engine gave, before a whole answer goes to the caller; unless it gave it in no time."""
        stages = exchange.stages
        if stages.answered - stages.sent <= _AT_RISK:
            return
        charged = used(exchange, account.meter)
        progress = Progress(exchange.id, self._wall(), charged.input, charged.output)
        with contextlib.suppress(LedgerDown):  # the settlement waits in memory until it can be written
            await self._ledger.checkpoint(progress)

    async def _sit(self, exchange: Exchange, seats: tuple[Seats, ...]) -> Lease:
        pauses = iter(_SEAT_PAUSES)
        try:
            while isinstance(lease := await self._leases.take(seats), Full):
                pause = next(pauses, None)
                if pause is None or not lease.seats.most:
                    raise seats_refusal(lease)
                await asyncio.sleep(pause)
        except StoreDown as error:
            raise _down(error) from None
        exchange.outcome.shadowed = lease.shadowed
        return lease

    async def _held(self, ask: Ask) -> Held:
        try:
            held = await self._budget.hold(ask)
        except StoreDown as error:
            raise _down(error) from None
        if isinstance(held, Over):
            raise refusal(held)
        return held

    async def _hold(
        self, exchange: Exchange, permit: Permit, call: Call, target: Target, applying: Applying
    ) -> Account:
        key, model, shape = permit.principal.key_id, permit.model, exchange.shape
        answers = expected_choices(call) if call.operation in GENERATING else 0
        chars = shape.input_chars + extra_chars(call)
        prompt = self.estimate(model, chars, shape.messages)
        if call.counts or call.operation in STOCK:
            answers = prompt = 0
        wanted = min(self._estimates.output(key, model) * answers, LARGEST)
        if call.max_tokens is not None:
            wanted = min(wanted, call.max_tokens * answers)
        most = 0 if call.operation in STOCK else applying.most_gpu_ms
        gpu_ms = min(self._estimates.gpu_ms(key, model), most) if most else 0
        ask = Ask(applying.bounds, requests=1, input=prompt, output=wanted, least=min(answers, wanted), gpu_ms=gpu_ms)
        held = await self._held(ask)
        outcome = exchange.outcome
        outcome.estimated = prompt
        outcome.shadowed += tuple(name for name in held.shadowed if name)
        limited = applying.meters_output and answers
        if limited:
            call = clamped(call, max(1, held.room // answers))
        meter = Meter(
            held.granted if limited else None,
            lambda tokens: self._more(held, tokens),
            lambda given, used: self._ledger.progress(Progress(exchange.id, self._wall(), given, used)),
            self._clock,
            prompt=prompt,
        )
        measured = applying.meters_input and not call.counts
        return Account(call, target, answers, chars, headers(held.levels), meter, held, measured)

    async def _more(self, held: Held, tokens: int) -> int:
        try:
            return await self._budget.extend(held, tokens)
        except StoreDown as error:
            raise _down(error) from None

    async def _write(self, exchange: Exchange, permit: Permit, account: Account) -> None:
        who = permit.principal
        hold = Hold(
            request_id=exchange.id,
            at=self._wall(),
            key=who.key_id,
            owner=who.id,
            groups=tuple(sorted(who.groups)),
            listener=exchange.client.listener,
            # What is fetched may not exist: a name that anybody can make up, in sums that are kept for ever.
            model=exchange.model if account.call.operation is Operation.MODELS_PULL else permit.model,
            engine=account.target.engine.name,
            operation=account.call.operation.value,
            stream=account.call.stream,
            input=account.held.ask.input,
            output=account.held.granted,
            rate_class=permit.obligations.rate_class or "",
        )
        try:
            await self._ledger.hold(hold)
        except LedgerDown as error:
            raise Refusal(Reason.LEDGER_UNAVAILABLE, retry_after=_RETRY, detail=str(error)) from None

    async def _settle(self, exchange: Exchange, permit: Permit, account: Account, ending: Ending) -> None:
        """All accounts of a request that is over, however it ended. What cannot wait comes first: this may be cancelled
        a second time, and no row may stay open for that."""
        usage, stages = exchange.outcome.usage, exchange.stages
        charged = _NOTHING
        if ending.reached:
            on_engine = 0.0 if account.call.operation in STOCK else (stages.answered or self._clock()) - stages.sent
            gpu_ms = max(0, round(on_engine * _MS))
            charged = used(exchange, account.meter, min(gpu_ms, LARGEST))
            usage.input, usage.output = charged.input, charged.output
            exchange.outcome.gpu_ms = charged.gpu_ms
            usage.source = "metered" if usage.source == "none" else usage.source
        self._ledger.settle(
            Settled(
                exchange.id,
                self._wall(),
                charged.input,
                charged.output,
                cached=usage.cached,
                gpu_ms=charged.gpu_ms,
                status=ending.status,
                reason=ending.reason if ending.reached else VOID,
                finish=exchange.outcome.finish,
                source=usage.source,
                model=exchange.model,
            )
        )
        if ending.reached and not ending.reason:
            self._learn(exchange, permit, account, charged)
        await self._surely(self._give_back(account, charged))

    async def _surely(self, giving: Coroutine[None, None, None]) -> None:
        """Do it though this is cancelled meanwhile. What is done at once needs no task of its own: that is 20 us."""
        await (asyncio.shield(giving) if self._remote else giving)

    async def _give_back(self, account: Account, charged: Actual) -> None:
        await self._budget.settle(account.held, charged)
        if account.top is not None:
            await self._budget.settle(account.top, _NOTHING)

    def _learn(self, exchange: Exchange, permit: Permit, account: Account, charged: Actual) -> None:
        """From an answer that came to its end: what such prompts and answers cost."""
        outcome, shape, model, key = exchange.outcome, exchange.shape, permit.model, permit.principal.key_id
        if outcome.usage.source not in COUNTED or (not outcome.finish and account.answers):
            return
        if not shape.images and not shape.audio:  # whose size in tokens has nothing to do with that of the text
            self._estimates.learn_input(model, account.chars, shape.messages, charged.input)
        if account.answers:
            self._estimates.learn_output(key, model, charged.output // account.answers, charged.gpu_ms)


class _Opened:
    """One request's account while it is open. A class, since a generator's context manager costs 2 us more."""

    __slots__ = ("_account", "_accounts", "_call", "_exchange", "_lease", "_permit", "_target")

    def __init__(self, accounts: Accounts, exchange: Exchange, permit: Permit, call: Call, target: Target) -> None:
        self._accounts = accounts
        self._exchange = exchange
        self._permit = permit
        self._call = call
        self._target = target
        self._lease: Lease | None = None
        self._account: Account | None = None

    async def __aenter__(self) -> Account:
        self._lease, account = await self._accounts.begin(self._exchange, self._permit, self._call, self._target)
        self._account = account
        return account

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._account is not None:
            await self._accounts.end(self._exchange, self._permit, self._lease, self._account, error)


def _down(error: StoreDown) -> Refusal:
    return Refusal(Reason.LIMITS_UNAVAILABLE, retry_after=_RETRY, detail=str(error))
