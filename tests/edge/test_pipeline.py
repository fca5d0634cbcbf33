"""What one request holds on to, and gives back, while other things change around it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from edge.engine_choice import Choice
from edge.intake.routes import Routes
from edge.pipeline import Line, Manner
from edge.reply import Reply
from edge.shared import Shared
from engines.breaker import Attempt, Breakers, Patience
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.decision import Permit
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.input import NO_COUNTERS
from policies.principal import Principal
from policies.reasons import Reason
from tests.edge.test_accounts import WHO
from tests.edge.test_accounts import permit as a_permit
from tests.edge.test_reply import RecordingInbound
from tests.policies import asking

FOO = Engine("e", Kind.OPENAI, "http://127.0.0.1:1", 1)


def exchange() -> Exchange:
    return Exchange("f" * 32, Client("127.0.0.1", 1, "local"))


def call(model: str = "tiny") -> Call:
    return Call(Operation.CHAT, Dialect.OPENAI, model, body={"messages": []}, stream=False, max_tokens=None, n=1)


class Fleet:
    """Its engine offers `foo` and `foo@kids`."""

    def __init__(self) -> None:
        self.catalogue = Catalogue([(FOO, [Model("foo", "foo"), Model("foo@kids", "foo@kids")])])

    async def look_again(self, _model: str) -> tuple[Target, ...]:
        return ()

    def missing(self, _model: str) -> bool:
        return False


class Deciding:
    """An enforcement point during whose decision the operator adds a preset `kids`, if `changes`."""

    def __init__(self, fleet: Fleet, *, changes: bool) -> None:
        self._fleet = fleet
        self._changes = changes

    async def permit(self, *_asked: object) -> Permit:
        if self._changes:
            self._fleet.catalogue = self._fleet.catalogue.with_presets({"kids"})
        return asking.permit(asking.question(WHO, model="foo@kids"))


async def _counters(_who: Principal) -> object:
    return NO_COUNTERS


def line(**parts: object) -> Line:
    made = SimpleNamespace(clock=lambda: 1.0, locate=lambda _: None, **parts)
    return Line(cast("Shared", made), Manner(body_limit=1), Routes(()))


async def decided(*, changes: bool) -> tuple[Target, ...]:
    fleet = Fleet()
    accounts = SimpleNamespace(counters=_counters)
    under_test = line(fleet=fleet, enforcement=Deciding(fleet, changes=changes), accounts=accounts)
    _, targets = await under_test._decide(exchange(), WHO, call("foo@kids"))
    return targets


async def test_a_permit_is_for_the_model_that_was_decided_on_whatever_its_name_means_by_now() -> None:
    """`foo@kids` has become `foo` with a preset: another model, for which there is no permit."""
    assert [target.model.name for target in await decided(changes=False)] == ["foo@kids"]
    with pytest.raises(Refusal) as caught:
        await decided(changes=True)
    assert caught.value.reason is Reason.UNKNOWN_PRESET


async def test_a_trial_that_was_not_sent_is_the_next_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    async def over_a_limit(*_: object) -> None:
        raise Refusal(Reason.LIMIT_EXCEEDED)

    monkeypatch.setattr(Line, "_answer_by", over_a_limit)
    breakers = Breakers(Patience(failures=1, shortest=10.0))
    first, other = (Target(Engine(name, Kind.OPENAI, "http://e", 1), Model("tiny", "tiny")) for name in ("a", "b"))
    breakers.failed(Attempt("a", "k1", 0.0), Reason.ENGINE_BROKE, 0.0)
    assert list(breakers.usable((first, other), "k2", 10.0, lambda _: True)) == [first]
    choice = Choice(first, Attempt("a", "k2", 10.0), asyncio.timeout(None), breakers, lambda: 10.0)
    with pytest.raises(Refusal):
        await line()._answer(choice, exchange(), Reply(RecordingInbound()), a_permit(), call())
    assert list(breakers.usable((first, other), "k3", 10.1, lambda _: True)) == [first]
