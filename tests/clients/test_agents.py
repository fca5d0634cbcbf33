"""Claude Code, Codex, opencode and `llm` in front of real engines, with prompts of up to 48 KB.

The context of the tiny model is 4096 bytes, and its template cuts what is longer. So there is an answer, but it need
not make sense.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.tiny import serve
from tests.agents.conftest import of_this_machine
from tests.agents.programs import PROGRAMS, Program
from tests.agents.seat import Seat
from tests.agents.tripwire import Tripwire
from tests.clients.runs import Entry
from tests.system.process import Gateway, configuration

pytestmark = [pytest.mark.clients, pytest.mark.engine, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def gateway(entry: Entry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    _, document = entry
    made = Gateway(tmp_path_factory.mktemp("gateway"), configuration("http://unused", engine=document))
    try:
        yield made.start().ready(30.0)
    finally:
        made.kill()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda each: each.name)
def test_a_question_is_answered(program: Program, gateway: Gateway, tmp_path: Path) -> None:
    of_this_machine(program)
    key = gateway.create_key("agent")
    with Tripwire() as tripwire:
        seat = Seat.at(tmp_path, gateway, key, serve.ALIAS, tripwire)
        program.settle(seat)
        with program.ask(seat, "Hello") as running:
            assert running.ended() == 0, running.shown
            assert program.answer(running.shown)
        assert tripwire.tripped == []
    asked = gateway.access_lines(key, program.route, program.asked)
    assert [(line["status"], line["finish"]) for line in asked] == [(200, "stop")] * program.asked
    assert key.secret not in gateway.logged()
