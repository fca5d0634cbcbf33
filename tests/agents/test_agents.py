"""Claude Code, Codex, opencode and `llm` at work through the gateway, in front of an engine that plays tool calls."""

from __future__ import annotations

import pytest

from policies.json import JSON
from tests.agents.conftest import Sit
from tests.agents.plays import ANSWER, FIRST, begun, conversation, results, said
from tests.agents.programs import PROGRAMS, Program
from tests.agents.seat import NOTE, WORD
from tests.system.calls import CHAT, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always

pytestmark = [pytest.mark.clients, pytest.mark.timeout(400)]

QUESTION = f"What does {NOTE} say?"
AGAIN = f"And what else does {NOTE} say?"


def test_a_conversation_with_a_tool_call_goes_on(
    program: Program, sit: Sit, gateway: Gateway, engine: RecordingEngine
) -> None:
    seat = sit(gateway.create_key("agent"), gateway)
    engine.when(NOTE, conversation(program.tool, program.reading(seat)))
    with program.ask(seat, QUESTION) as running:
        assert running.ended() == 0, running.shown
        assert program.answer(running.shown) == ANSWER.splitlines()[-1]
    assert len(engine.requests) == program.asked + 1
    assert {seen.path for seen in engine.requests} == {CHAT}
    assert all(seen.document["stream"] is True for seen in engine.requests)
    (result,) = results(engine.requests[-1].document)
    assert WORD in result, "the engine was not told what the tool said"

    with program.ask(seat, AGAIN, on=True) as running:
        assert running.ended() == 0, running.shown
    before = said(engine)
    assert [role for role, text in before if ANSWER in text] == ["assistant"]
    assert [role for role, text in before if WORD in text] == ["tool"]
    assert any(role == "user" and AGAIN in text for role, text in before)
    asked = len(engine.requests)
    assert _statuses(gateway, program, seat.key, asked) == [200] * asked


def test_a_refusal_is_shown_and_not_asked_again(
    program: Program, sit: Sit, gateway: Gateway, engine: RecordingEngine
) -> None:
    seat = sit(gateway.create_key("narrow", "--model", "other-*"), gateway)
    with program.ask(seat, QUESTION) as running:
        assert running.ended() != 0
        running.shows(program.forbidden.shows)
    refused = gateway.access_lines(seat.key, program.route, program.forbidden.requests)
    assert [line["reason"] for line in refused] == ["model_not_permitted"] * program.forbidden.requests
    assert engine.requests == []


def test_a_used_up_limit_is_shown_by_whoever_shows_errors_at_all(
    program: Program, sit: Sit, launch: Launch, engine: RecordingEngine
) -> None:
    gateway = launch(limits={"rules": [{"name": "holiday", "per": "key", "requests": {"minute": 0}}]})
    key = gateway.create_key("suspended")
    with program.ask(sit(key, gateway), QUESTION) as running:
        if program.used_up is None:
            running.meanwhile(lambda: _statuses(gateway, program, key).count(429) > program.asked, "it asks again")
            return
        assert running.ended() != 0
        running.shows(program.used_up)
    assert _statuses(gateway, program, key, 1) == [429]
    assert engine.requests == []


@pytest.mark.parametrize(
    "program", [each for each in PROGRAMS if each.patient], ids=lambda each: each.name, indirect=True
)
def test_one_that_comes_too_early_asks_again_when_it_may(
    program: Program, sit: Sit, launch: Launch, engine: RecordingEngine
) -> None:
    gateway = launch(queue={"queued_per_caller": 0})
    key = gateway.create_key("busy", "--concurrency", "1")
    engine.when("a long story", always(*Stream().until(2, Hold())))
    with start_stream(gateway, key, "a long story") as held:
        assert held.head().status == 200
        with program.ask(sit(key, gateway), QUESTION) as running:
            running.meanwhile(lambda: 429 in _statuses(gateway, program, key), "it is refused")
            held.reset()
            assert running.ended() == 0, running.shown
            running.shows("Hello there")


def _statuses(gateway: Gateway, program: Program, key: Key, count: int = 0) -> list[JSON]:
    """How the questions of this key were answered, waiting for `count` of them."""
    return [line.get("status") for line in gateway.access_lines(key, program.route, count)]


def test_the_engine_learns_at_once_of_one_that_is_interrupted(
    program: Program, sit: Sit, gateway: Gateway, engine: RecordingEngine
) -> None:
    seat = sit(gateway.create_key("hasty"), gateway)
    engine.when(NOTE, begun)
    with program.ask(seat, QUESTION) as running:
        running.meanwhile(lambda: len(engine.requests) == program.asked, "the engine is asked")
        if program.shows_pieces:
            running.shows(FIRST)
        running.meanwhile(lambda: all(seen.pieces > 2 for seen in engine.requests), "pieces are sent")
        running.interrupt()
        for seen in engine.requests:
            engine.gone(seen)
        running.ended()
    assert len(engine.requests) == program.asked, "it was asked again"
