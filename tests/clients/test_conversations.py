"""Each SDK: a conversation with a tool, a refusal, a stream that breaks, one that is left; in front of each engine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from engines.tiny import serve
from policies.json import Object, as_object, as_str
from tests.agents.plays import ANSWER, conversation, results
from tests.clients.conversations import talk
from tests.clients.real_engine import KINDS, RealEngine, running
from tests.clients.talkers import TALKERS, Talker
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import MODEL, Fin, Hold, Stream, always, behave
from tests.system.wire import loads

pytestmark = [pytest.mark.clients, pytest.mark.engine]

DEADLINE = 90.0
_STAY, _AFTER = "say no more", "after all"


@dataclass(frozen=True, slots=True)
class House:
    """A gateway in front of one engine: the scripted one, or a real one."""

    gateway: Gateway
    key: Key
    narrow: Key
    scripted: RecordingEngine | None = None
    real: RealEngine | None = None

    @property
    def place(self) -> dict[str, str]:
        return {
            "BASE_URL": "http://{}:{}".format(*self.gateway.address),
            "API_KEY": self.key.secret,
            "NARROW_KEY": self.narrow.secret,
            "MODEL": MODEL if self.scripted else serve.ALIAS,
            "SCRIPTED": "1" if self.scripted else "0",
        }


@pytest.fixture(scope="module", params=["scripted", *KINDS])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        real, scripted = KINDS.get(request.param), None
        if real is None:
            scripted = stack.enter_context(RecordingEngine())
            config = configuration(scripted.url)
        else:
            entry = stack.enter_context(running(real, tmp_path_factory.mktemp("engine")))
            config = configuration("http://unused", engine=entry)
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), config)
        stack.callback(gateway.kill)
        key, narrow = gateway.create_key("client"), gateway.create_key("narrow", "--model", "other-*")
        yield House(gateway.start().ready(30.0), key, narrow, scripted, real)


@pytest.mark.parametrize("talker", TALKERS, ids=lambda each: each.name)
def test_a_client_at_home(house: House, talker: Talker) -> None:
    if house.scripted:
        _rehearse(house.scripted)
    with talker.started(house.place) as process:
        if house.scripted:
            _let_go_once_it_left(house.scripted, process)
        report = _ended(process)
    assert as_str(report["version"]).split(".")[0] == talker.major
    _assert_conversation(house, report)
    refused = as_object(report["refused"])
    assert (refused["class"], refused["status"]) == (talker.errors[0], 403)
    assert "may not use this model" in as_str(refused["text"])
    if house.scripted:
        broken = as_object(report["broken"])
        assert broken["class"] == talker.errors[1], broken
    assert as_str(report["after"]), "the client cannot go on after it left a stream"
    assert house.key.secret not in house.gateway.logged()


def _rehearse(engine: RecordingEngine) -> None:
    engine.forget()
    engine.when(talk.WEATHER, conversation(talk.TOOL, {"city": "Paris"}))
    engine.when(talk.BREAK, always(*Stream().until(2, Fin())))
    engine.when(_STAY, always(*Stream().until(3, Hold())))
    engine.when(_AFTER, lambda asked: [Hold(), *behave(asked)])


def _let_go_once_it_left(engine: RecordingEngine, process: subprocess.Popen[str]) -> None:
    """What is asked after the stream that was left is answered only when the engine has learnt of the leaving."""

    def left() -> Seen | None:
        return next((seen for seen in engine.requests if _STAY.encode() in seen.body), None)

    until(
        lambda: left() is not None or process.poll() is not None, DEADLINE, "the stream that will be left is asked for"
    )
    seen = left()
    if seen is not None:
        engine.gone(seen, DEADLINE)
        engine.release()


def _ended(process: subprocess.Popen[str]) -> Object:
    """The report of a client that has no complaints."""
    out, complaints = process.communicate(timeout=DEADLINE)
    assert (process.returncode, complaints) == (0, ""), complaints
    return loads(out)


def _assert_conversation(house: House, report: Object) -> None:
    call = as_object(report["call"])
    pieces = report["pieces"]
    assert isinstance(pieces, int)
    if house.scripted is None:
        assert house.real
        assert call or not house.real.calls_tools
        assert not call or isinstance(as_object(call["input"])["city"], str)
        assert as_str(report["text"])
        return
    assert call == {"name": talk.TOOL, "input": {"city": "Paris"}}
    assert (report["text"], pieces > 3) == (ANSWER, True)
    assert [talk.RESULT] in [results(seen.document) for seen in house.scripted.requests]
    assert all(house.key.secret.encode() not in seen.raw for seen in house.scripted.requests)
