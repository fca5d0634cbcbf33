"""The policy enforcement point: builds the question, has it answered, records what came of it, hands out the Permit.

    the credential's bounds -> ask the policy -> judge -> (another model? ask about that one) -> record -> Permit

Everything that goes wrong on the way is a Refusal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from edge.identity.token import redact
from edge.policy.surroundings import Surroundings
from observability.decisions.log import DecisionLogError
from policies.call import Dialect, Operation
from policies.decision import Abilities, Denial, Permit, Redirect, judge, within_bounds
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.input import NO_COUNTERS, NO_SHAPE, Counters, PolicyInput, Shape, Wanted
from policies.json import Object
from policies.names import is_name
from policies.obligations import RECORDED, Obligations
from policies.pdp import Answer
from policies.principal import Principal
from policies.reasons import Reason
from policies.record import Record, mask

CREDENTIAL: Final = "credential"
_RETRY: Final = {Reason.POLICY_UNAVAILABLE: 1.0, Reason.QUOTA_EXCEEDED: 60.0}
"""Seconds after which to try again. A child is back within one. A policy's quota does not say when it ends: a minute is
the shortest that the input counts by, and without any word SDKs come back within half a second."""

_FORESEEN: Final = 2
"""Questions at once that nobody's request waits for: an engine has 32 connections, and a decision 250 ms."""


class Point(Protocol):
    """Where decisions come from: the decision point in force at the moment."""

    async def ask(self, document: Object) -> Answer: ...


class Recorder(Protocol):
    """Where decisions go."""

    def write(self, record: Record) -> None: ...

    async def write_durably(self, record: Record) -> None:
        """Raises DecisionLogError."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the caller wants. `model` as the caller wrote it, `models` the candidates of a listing."""

    operation: Operation
    dialect: Dialect
    model: str = ""
    engine: str = ""
    shape: Shape = NO_SHAPE
    models: tuple[str, ...] = ()
    usage: Counters = NO_COUNTERS


class Enforcement:
    """One for all listeners."""

    def __init__(
        self,
        point: Point,
        recorder: Recorder,
        surroundings: Surroundings,
        abilities: Abilities,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        told: Callable[[Record], None] = lambda _: None,
    ) -> None:
        """`told` hears of every decision at once, whether or not it can be recorded; it must be quick."""
        self._point = point
        self._recorder = recorder
        self._surroundings = surroundings
        self._abilities = abilities
        self._wall_ns = wall_ns
        self._told = told
        self._foreseeing = asyncio.Semaphore(_FORESEEN)

    async def permit(
        self, exchange: Exchange, principal: Principal, asked: Asked, meaning: Callable[[str], str]
    ) -> Permit:
        """The Permit for what is `asked`. Refusal if it is a no.

        `meaning` gives the canonical name of the model that a name means, whether or not there is one.
        """
        question = self._question(exchange, principal, asked, meaning)
        bounds = within_bounds(question)
        if bounds is not None:
            await self._record(question, None, bounds)
            raise _refusal(bounds)
        verdict = await self._ask(exchange, question, after=None)
        if isinstance(verdict, Redirect):
            redirect = _towards(verdict, meaning)
            verdict = await self._ask(exchange, redirect.question, after=redirect)
        if isinstance(verdict, Permit):
            exchange.permit = verdict
            return verdict
        raise _refusal(verdict) if isinstance(verdict, Denial) else RuntimeError("redirected twice")

    async def foresee(
        self, exchange: Exchange, principal: Principal, asked: Asked, meaning: Callable[[str], str]
    ) -> Obligations | Denial:
        """What a yes to what is `asked` would be tied to now; the Denial says why not, and `unforeseen` whether that is
        an answer. Nobody asks for it, so none of it is recorded, and it permits nothing. Few are asked at once: one
        `/v1/me` asks dozens, requests need the engine."""
        question = self._question(exchange, principal, asked, meaning)
        if (bounds := within_bounds(question)) is not None:
            return bounds
        async with self._foreseeing:
            return await self._foreseen(exchange, question, meaning)

    async def _foreseen(
        self, exchange: Exchange, question: PolicyInput, meaning: Callable[[str], str]
    ) -> Obligations | Denial:
        verdict = await self._ask(exchange, question, after=None, foreseen=True)
        if isinstance(verdict, Redirect):
            redirect = _towards(verdict, meaning)
            verdict = await self._ask(exchange, redirect.question, after=redirect, foreseen=True)
        if isinstance(verdict, Redirect):
            return Denial(Reason.POLICY_OBLIGATION, detail="redirected twice")
        return verdict.obligations if isinstance(verdict, Permit) else verdict

    async def _ask(
        self, exchange: Exchange, question: PolicyInput, after: Redirect | None, *, foreseen: bool = False
    ) -> Permit | Denial | Redirect:
        document = question.document()
        answer = await self._point.ask(document)
        if not foreseen:
            exchange.revision = answer.revision
        if answer.decision is None:
            verdict: Permit | Denial | Redirect = Denial(answer.failure or Reason.POLICY_FAILED, detail=answer.detail)
        else:
            verdict = judge(question, answer.decision, self._abilities, after=after)
        if not foreseen:
            if not isinstance(verdict, Denial):
                exchange.redact = verdict.obligations.redact  # first: the record may fail, and that is recorded, too
            await self._record(question, answer, verdict, after=after, document=document)
        return verdict

    def _question(
        self, exchange: Exchange, principal: Principal, asked: Asked, meaning: Callable[[str], str]
    ) -> PolicyInput:
        requested = redact(asked.model)
        # What looks like a key is no model: its canonical spelling would be most of the key.
        named = asked.model and requested == asked.model and is_name(asked.model)
        resolved = meaning(asked.model) if named else ""
        tools = tuple(redact(name) for name in asked.shape.tool_names)
        return PolicyInput(
            id=exchange.id,
            principal=principal,
            place=self._surroundings.place(exchange.client, exchange.container),
            operation=asked.operation,
            dialect=asked.dialect,
            method=exchange.method,
            route=exchange.route,
            time=self._surroundings.instant(self._wall_ns()),
            model=Wanted(requested, resolved, asked.engine),
            shape=replace(asked.shape, tool_names=tools) if tools else asked.shape,
            models=asked.models,
            usage=asked.usage,
        )

    async def _record(
        self,
        question: PolicyInput,
        answer: Answer | None,
        verdict: Permit | Denial | Redirect,
        *,
        after: Redirect | None = None,
        document: Object | None = None,
    ) -> None:
        """Write it down; with an `audit` obligation it is on disk when this returns, or the answer is a no."""
        # A no binds to nothing, but a yes to be served by another model was one: what it hides stays hidden.
        obligations = (after.obligations if after else None) if isinstance(verdict, Denial) else verdict.obligations
        hidden = obligations.redact & RECORDED if obligations is not None else frozenset()
        shown, masked = mask(document or question.document(), hidden) if hidden else (document, ())
        denial = verdict if isinstance(verdict, Denial) else None
        audit = denial is None and obligations is not None and obligations.audit
        record = Record(
            id=question.id,
            at=question.time.now_ns / 1e9,
            input=shown if shown is not None else question.document(),
            result=None if answer is None else answer.result,
            allow=denial is None and (answer is None or answer.decision is None or answer.decision.allow),
            reason="" if denial is None else denial.reason.value,
            detail=("redirected" if isinstance(verdict, Redirect) else "") if denial is None else denial.detail,
            revision="" if answer is None else answer.revision,
            engine=CREDENTIAL if answer is None else answer.engine,
            took_us=0 if answer is None else answer.took_us,
            masked=masked,
            redirect=0 if after is None else 1,
            audit=audit,
        )
        self._told(record)
        if not audit:
            self._recorder.write(record)
            return
        try:
            await self._recorder.write_durably(record)
        except DecisionLogError as error:
            reason = Reason.POLICY_UNAVAILABLE
            raise Refusal(reason, retry_after=_RETRY[reason], detail=f"audit: {error}") from None


def unforeseen(denial: Denial) -> bool:
    """Whether `denial` says nothing of the next request: the policy did not answer, or failed."""
    return denial.reason in {Reason.POLICY_UNAVAILABLE, Reason.POLICY_FAILED}


def _towards(redirect: Redirect, meaning: Callable[[str], str]) -> Redirect:
    """`redirect` with the canonical name of the model that it means."""
    target = replace(redirect.question.model, resolved=meaning(redirect.question.model.resolved))
    return replace(redirect, question=replace(redirect.question, model=target))


def _refusal(denial: Denial) -> Refusal:
    return Refusal(denial.reason, hint=denial.hint or None, retry_after=_RETRY.get(denial.reason), detail=denial.detail)
