"""What becomes of a request speaks for or against the engine that was chosen for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

import pytest

from edge.engine_choice import Choice, choose
from edge.queue.contract import Wish
from edge.queue.engine_queue import Queues
from edge.queue.settings import QueueLimits
from edge.relay import relay
from edge.reply import Pulse, Reply
from edge.shared import Shared
from engines.breaker import Attempt, Breakers, Patience
from engines.contract import UpstreamRequest, UpstreamResponse
from policies.errors import EngineBroke, EngineRefused, EngineTimeout, EngineUnreachable, GatewayError, Refusal
from policies.reasons import Reason
from tests.edge.relay.test_relay import Answer, Played, events, leg, piece, says, streaming, whole
from tests.edge.test_reply import RecordingInbound

CALLERS = ("k1", "k2", "k3")
GOOD = whole("hello", {"prompt_tokens": 1, "completion_tokens": 1})
SILENT = streaming(hangs=True)
BEGUN = streaming(piece(), hangs=True)
ENDLESS = Answer("text/event-stream", [*events(piece("", "stop", says(1, 1))), b"data: [DONE]\n\n"], hangs=True)
"""Said to its end, but not ended."""


class Gone(RecordingInbound):
    """A caller whose connection is lost."""

    async def write(self, block: bytes) -> None:
        raise ConnectionResetError


class Failing(Played):
    """A transport that fails as the engine's would."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(GOOD)
        self._error = error

    @asynccontextmanager
    async def _give(self, _request: UpstreamRequest) -> AsyncIterator[UpstreamResponse]:
        raise self._error
        yield self.answer


@dataclass
class House:
    """The engine `e`, and another that has its model. A request is with its engine for a second."""

    breakers: Breakers = field(default_factory=lambda: Breakers(Patience(failures=len(CALLERS), shortest=10.0)))
    now: float = 100.0

    async def asks(
        self,
        caller: str,
        played: Played,
        *,
        waited: float = 0.0,
        limit: asyncio.Timeout | None = None,
        inbound: RecordingInbound | None = None,
    ) -> None:
        """A request of `caller`, sent `waited` seconds after the choice, that ends as `played`."""
        stream = played.answer.content_type != "application/json"
        reply = Reply(inbound or RecordingInbound())
        one = replace(leg(played, stream=stream), reply=reply, clock=lambda: self.now + waited)
        attempt = Attempt(one.target.engine.name, caller, self.now)
        choice = Choice(
            one.target, attempt, limit or asyncio.timeout(None), self.breakers, lambda: self.now + waited + 1.0
        )
        with one.waiting(lambda: "", Pulse(first=0.0, every=0.0)):
            await choice.run(one)

    async def leaves_after(self, caller: str, answer: Answer) -> None:
        """The caller hangs up once `answer` has said all that it says."""
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self.asks(caller, Played(answer)))
            _ = await answer.given.wait()
            _ = asking.cancel()
        assert asking.cancelled()

    async def fails(self, caller: str, error: GatewayError) -> None:
        with pytest.raises(type(error)):
            await self.asks(caller, Failing(error))

    async def is_too_slow(self, caller: str, answer: Answer, *, waited: float = 0.0) -> None:
        """The policy's time for it is over before its end."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02) as limit:
                await self.asks(caller, Played(answer), waited=waited, limit=limit)

    def passes_over(self, caller: str) -> bool:
        first = leg(Played(GOOD)).target
        second = replace(first, engine=replace(first.engine, name="other"))
        return first not in self.breakers.usable((first, second), caller, self.now, lambda _: True)


@pytest.fixture
def house() -> House:
    return House()


async def test_what_one_callers_requests_come_to_counts_for_it_alone(house: House) -> None:
    for _ in range(9):
        await house.fails("k1", EngineBroke("status 500"))
    assert house.passes_over("k1")
    assert not house.passes_over("k2")


async def test_no_connection_counts_for_all(house: House) -> None:
    for error in (EngineUnreachable("refused", connected=False), EngineTimeout("connect", connected=False)):
        for _ in CALLERS:
            await house.fails("k1", error)
        assert house.passes_over("k2")
        await house.asks("k2", Played(GOOD))
        assert not house.passes_over("k1")


async def test_an_engine_that_is_silent_for_as_long_as_the_policy_lets_it_has_failed(house: House) -> None:
    """It stays the idlest, and every request that it got was a 504."""
    for caller in CALLERS:
        await house.is_too_slow(caller, SILENT)
    assert house.passes_over("k9")


async def test_an_answer_that_was_under_way_when_the_policys_time_was_over_is_no_failure(house: House) -> None:
    for caller in CALLERS:
        await house.is_too_slow(caller, BEGUN)
    assert not house.breakers.known


async def test_nor_is_one_that_had_waited_in_line_for_most_of_it(house: House) -> None:
    for caller in CALLERS:
        await house.is_too_slow(caller, SILENT, waited=1.5)
    assert not house.breakers.known


async def test_nor_is_a_caller_that_leaves(house: House) -> None:
    for caller in CALLERS:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await house.asks(caller, Played(SILENT))
    assert not house.breakers.known


async def test_a_trial_whose_caller_leaves_is_somebody_elses(house: House) -> None:
    for caller in CALLERS:
        await house.fails(caller, EngineBroke())
    house.now = 120.0
    assert not house.passes_over("k8")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await house.asks("k8", Played(SILENT))
    assert house.passes_over("k8")
    assert not house.passes_over("k9")


@pytest.mark.parametrize(
    "error", [EngineRefused(Reason.ENGINE_REFUSED), Refusal(Reason.LIMITS_UNAVAILABLE)], ids=["engine", "gateway"]
)
async def test_a_trial_that_was_refused_leaves_it_to_the_next(house: House, error: GatewayError) -> None:
    for caller in CALLERS:
        await house.fails(caller, EngineBroke())
    house.now = 120.0
    assert not house.passes_over("k8")  # the trial
    assert house.passes_over("k9")
    await house.fails("k8", error)
    assert not house.passes_over("k9")


async def test_who_was_told_everything_was_answered_however_it_leaves(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex hangs up at the last event; where the engine ends its answer later than that, a breaker never closed."""
    monkeypatch.setattr(relay, "LINGER", 60.0)
    for caller in CALLERS:
        await house.fails(caller, EngineBroke())
    assert house.passes_over("k8")
    await house.leaves_after("k8", ENDLESS)
    assert not house.passes_over("k8")
    assert not house.breakers.known["e"].open


async def test_a_trial_whose_callers_connection_is_lost_is_somebody_elses(house: House) -> None:
    for caller in CALLERS:
        await house.fails(caller, EngineBroke())
    house.now = 120.0
    assert not house.passes_over("k8")
    with pytest.raises(ConnectionResetError):
        await house.asks("k8", Played(BEGUN), inbound=Gone())
    assert house.passes_over("k8")
    assert not house.passes_over("k9")


async def test_no_request_stands_in_line_for_a_trial_while_another_engine_is_idle() -> None:
    """A trial that hangs held the only slot of an engine; one request every few seconds waited for it in vain."""
    now = 0.0
    queues, breakers = Queues(QueueLimits(), lambda: now), Breakers(Patience(failures=1))
    shared = cast("Shared", SimpleNamespace(breakers=breakers, queues=queues, clock=lambda: now))
    one = leg(Played(GOOD))
    targets = [replace(one.target, engine=replace(one.target.engine, name=name)) for name in ("hangs", "good")]

    def chosen() -> str:
        return choose(shared, one.permit, one.call, targets, asyncio.timeout(None)).target.engine.name

    _ = breakers.failed(Attempt("hangs", "k1", now), Reason.ENGINE_TIMEOUT, now)
    now = 5.0
    assert chosen() == "hangs"
    async with queues.of(targets[0].engine).turn(Wish("k1")):
        for _ in range(60):
            now += 1.0
            assert chosen() == "good"
    assert chosen() == "hangs"
