"""Which engine a request goes to, and what becomes of it there: for that engine or against it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.relay.relay import Leg, Whole
from edge.shared import Shared
from engines.adapters.offers import needed
from engines.adapters.registry import adapter_for
from engines.breaker import Attempt, Breakers, Whom
from engines.contract import Target
from policies.call import Call
from policies.decision import Permit
from policies.errors import Refusal, UpstreamError
from policies.exchange import Stages
from policies.reasons import Reason

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """One request's engine; `limit` is the policy's time for all of the request."""

    target: Target
    attempt: Attempt
    limit: asyncio.Timeout
    breakers: Breakers
    clock: Callable[[], float]

    async def run(self, leg: Leg) -> Whole | None:
        """`leg.run`, which speaks for or against the engine."""
        try:
            answer = await leg.run()
        except UpstreamError as error:
            self._failed(error.reason, connected=error.connected)
            raise
        except Refusal:
            self.tells_nothing()
            raise
        except (asyncio.CancelledError, ConnectionError):
            if leg.exchange.outcome.told:  # Codex hangs up at the last event; the engine may end its answer later
                self._answered()
            elif self._had_its_time(leg.exchange.stages):
                self._failed(Reason.ENGINE_TIMEOUT)
            else:
                self.breakers.left(self.attempt)
            raise
        self._answered()
        return answer

    def tells_nothing(self) -> None:
        """The request was not sent, or ended for reasons of the gateway's own: another one may try the engine."""
        self.breakers.unasked(self.attempt)

    def _had_its_time(self, stages: Stages) -> bool:
        """Whether the policy's time is over, most of it with the engine, and not a byte has come. Who waited for longer
        in line, or was being answered, tells nothing of it; nor does a caller that leaves."""
        if not self.limit.expired() or not stages.sent or stages.first_byte:
            return False
        return self.clock() - stages.sent >= stages.sent - self.attempt.at

    def _answered(self) -> None:
        whom = self.breakers.answered(self.attempt)
        if whom is not None:
            _log.info("engine %s answers again%s", self.attempt.engine, self._to(whom))

    def _failed(self, reason: Reason, *, connected: bool = True) -> None:
        whom = self.breakers.failed(self.attempt, reason, self.clock(), connected=connected)
        if whom is None:
            return
        level = logging.WARNING if whom is Whom.ALL else logging.INFO
        text = "engine %s fails again and again%s: passed over where another one has the model"
        _log.log(level, text, self.attempt.engine, self._to(whom))

    def _to(self, whom: Whom) -> str:
        return "" if whom is Whom.ALL else f", to {self.attempt.caller}"


def choose(shared: Shared, permit: Permit, call: Call, targets: Sequence[Target], limit: asyncio.Timeout) -> Choice:
    """Of the engines that offer what is asked and are not passed over, the one with the least work per slot; the first
    one wins ties. Refusal if none offers it."""
    able: Sequence[Target] = [target for target in targets if adapter_for(target.engine.kind).offers(call)]
    if not able:
        raise Refusal(Reason.OPERATION_NOT_SUPPORTED, hint=needed(call))
    caller, now = permit.principal.key_id, shared.clock()

    def load(target: Target) -> float:
        return shared.queues.of(target.engine).load

    if not call.counts:  # which would use up the trial of an engine, and tells nothing of it
        able = shared.breakers.usable(able, caller, now, lambda target: load(target) < 1)
    target = min(able, key=load)
    return Choice(target, Attempt(target.engine.name, caller, now), limit, shared.breakers, shared.clock)
