"""Each surface, in front of each kind of engine, through each scenario."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from policies.json import Object
from policies.reasons import CAUSES, Reason
from tests.compatibility.grid import CELLS, Cell, Outcome, Scenario, Surface
from tests.compatibility.page import Result
from tests.compatibility.said import Said
from tests.compatibility.stages import Stage
from tests.compatibility.surfaces import SPEAKERS, TOOL, Ask, Speaker
from tests.compatibility.theatre import Theatre
from tests.system.calls import WITHIN
from tests.system.wire import Answer, Head, Wire, compose

pytestmark = [pytest.mark.engine]

_WAIT = 60.0
_BROKEN = (Reason.ENGINE_BROKE, Reason.ENGINE_UNREACHABLE)


def post(stage: Stage, speaker: Speaker, ask: Ask) -> Wire:
    wire = stage.gateway.open()
    wire.send(compose("POST", speaker.path, stage.key.bearer, body=speaker.body(stage.model, ask)))
    return wire


def whole(stage: Stage, speaker: Speaker, ask: Ask) -> Answer:
    with post(stage, speaker, ask) as wire:
        return wire.answer(_WAIT)


def good(stage: Stage, speaker: Speaker, ask: Ask) -> Said:
    """What the answer says, whole or streamed as asked."""
    with post(stage, speaker, ask) as wire:
        head = wire.head(_WAIT)
        body = b"".join(wire.blocks(head, _WAIT))
    assert head.status == 200, body
    assert stage.behind.secret.encode() not in body
    if not ask.stream:
        return speaker.whole(Answer(head, body).json())
    said = speaker.streamed(speaker.split(body))
    assert said.error == ""
    return said


def check(stage: Stage, speaker: Speaker, said: Said, *, calls: bool = False) -> None:
    """What holds of every good answer."""
    assert said.end == speaker.ends[calls]
    assert said.model == stage.model
    assert said.input > 0
    assert said.output > 0


def fits(stage: Stage, cell: Cell) -> bool:
    return stage.embeds or not SPEAKERS[cell.surface].embeds


def is_refused(stage: Stage, speaker: Speaker, answer: Answer, reason: Reason) -> None:
    cause = CAUSES[reason]
    assert answer.status >= 400, answer.raw
    assert (answer.status, cause.text in speaker.complaint(answer.json())) == (cause.status, True), answer.raw
    assert stage.behind.secret.encode() not in answer.raw
    assert answer.head.get("x-request-id")


def answers(stage: Stage, cell: Cell) -> Result:
    speaker, ask = SPEAKERS[cell.surface], Ask()
    if not fits(stage, cell):
        is_refused(stage, speaker, whole(stage, speaker, ask), Reason.OPERATION_NOT_SUPPORTED)
        return Result(Outcome.CANNOT, "")
    stage.behind.answers()
    said = good(stage, speaker, ask)
    if speaker.embeds:
        assert len(said.vectors) == 2
        assert min(said.vectors) == max(said.vectors) > 0
        assert said.input > 0
    else:
        check(stage, speaker, said)
        text, thought = expected(stage, cell)
        assert text in said.text
        assert said.thought == thought
    return Result(stage.behind.outcome, stage.behind.path())


def expected(stage: Stage, cell: Cell) -> tuple[str, str]:
    """What an answer to `Hello` says, and thinks; completions of a real model can say anything, and do not think."""
    if cell.surface is Surface.COMPLETIONS:
        return ("" if stage.behind.outcome is Outcome.REAL else stage.behind.text), ""
    return stage.behind.text, stage.behind.thought


def streams(stage: Stage, cell: Cell) -> Result:
    speaker = SPEAKERS[cell.surface]
    stage.behind.answers()
    first = good(stage, speaker, Ask())
    stage.behind.answers()
    said = good(stage, speaker, Ask(stream=True))
    check(stage, speaker, said)
    assert said.text == first.text
    assert said.thought == first.thought
    assert said.pieces > 1
    return Result(stage.behind.outcome, stage.behind.path())


def calls_tools(stage: Stage, cell: Cell) -> Result:
    results = [_calls_tool(stage, cell, stream=stream) for stream in (False, True)]
    assert results[0] == results[1]
    return results[0]


def _calls_tool(stage: Stage, cell: Cell, *, stream: bool) -> Result:
    """A call, and what is said when the tool has answered."""
    speaker, ask = SPEAKERS[cell.surface], stage.behind.calls_tool(cell.surface)
    if ask is None:
        check(stage, speaker, good(stage, speaker, Ask(tool=True, stream=stream)))
        return Result(Outcome.CANNOT, stage.behind.path())
    said = good(stage, speaker, replace(ask, stream=stream))
    path = stage.behind.path()
    check(stage, speaker, said, calls=True)
    (call,) = said.calls
    assert call.name == TOOL
    assert isinstance(call.arguments["city"], str)
    assert stage.behind.city in call.arguments["city"]
    stage.behind.answers()
    after = good(stage, speaker, replace(ask, stream=stream, forced=False, call=call, result="18 C and sunny"))
    check(stage, speaker, after)
    assert after.text
    return Result(stage.behind.outcome, path)


def refuses(stage: Stage, cell: Cell) -> Result:
    speaker = SPEAKERS[cell.surface]
    if not fits(stage, cell):
        is_refused(stage, speaker, whole(stage, speaker, Ask()), Reason.OPERATION_NOT_SUPPORTED)
        return Result(Outcome.CANNOT, "")
    for stream in (False,) if speaker.embeds else (False, True):
        fault = stage.behind.refuses(cell.surface)
        if fault is None:
            return Result(Outcome.CANNOT, "")
        is_refused(stage, speaker, whole(stage, speaker, replace(fault.ask, stream=stream)), fault.because)
    return Result(stage.behind.outcome, stage.behind.path())


@contextmanager
def begun(stage: Stage, speaker: Speaker) -> Iterator[tuple[Wire, Head, bytes]]:
    """A stream of which the first piece has come."""
    with post(stage, speaker, Ask(stream=True)) as wire:
        head = wire.accepted(_WAIT)
        first = b""
        for block in wire.blocks(head, _WAIT):
            first += block
            if documents(speaker, first):
                break
        yield wire, head, first


def documents(speaker: Speaker, so_far: bytes) -> list[Object]:
    """Those that are whole already."""
    end = so_far.rfind(speaker.ends_piece)
    return speaker.split(so_far[: end + len(speaker.ends_piece)]) if end >= 0 else []


def breaks(stage: Stage, cell: Cell) -> Result:
    speaker = SPEAKERS[cell.surface]
    stage.behind.breaks()
    with begun(stage, speaker) as (wire, head, first):
        stage.behind.break_now()
        raw = first + b"".join(wire.blocks(head, _WAIT))
    said = speaker.streamed(speaker.split(raw))
    assert any(CAUSES[reason].text in said.error for reason in _BROKEN), raw
    assert said.end == ""
    assert stage.behind.secret.encode() not in raw
    return Result(stage.behind.outcome, stage.behind.path())


def is_left(stage: Stage, cell: Cell) -> Result:
    """And the engine is free for the next."""
    speaker = SPEAKERS[cell.surface]
    stage.behind.holds()
    with begun(stage, speaker) as (wire, _, _):
        left = time.monotonic()
        wire.reset()
        assert stage.behind.left() - left <= WITHIN
    path = stage.behind.path()
    stage.behind.rest()
    stage.behind.answers()
    check(stage, speaker, good(stage, speaker, Ask()))
    return Result(stage.behind.outcome, path)


TRY: dict[Scenario, Callable[[Stage, Cell], Result]] = {
    Scenario.ANSWER: answers,
    Scenario.STREAM: streams,
    Scenario.TOOLS: calls_tools,
    Scenario.ERROR: refuses,
    Scenario.BREAK: breaks,
    Scenario.CANCEL: is_left,
}


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c.kind}-{c.surface.name.lower()}-{c.scenario}")
def test_cell(cell: Cell, theatre: Theatre, results: dict[Cell, Result]) -> None:
    with theatre.stage(cell.kind) as stage:
        results[cell] = TRY[cell.scenario](stage, cell)
