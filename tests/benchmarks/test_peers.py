"""Each peer that is installed answers, whole and streamed, with what the engine said. `make bench-peers` runs it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.json import Object, as_list, as_object
from tests.benchmarks.contenders import Contender
from tests.benchmarks.nginx import free_port
from tests.benchmarks.origin import MODEL
from tests.benchmarks.peers import PEERS
from tests.benchmarks.peers.peer import Peer, PeerDown
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import loads

pytestmark = pytest.mark.timeout(300)  # LiteLLM's first start
SECONDS = 60.0


@pytest.fixture(scope="module")
def engine() -> Iterator[RecordingEngine]:
    with RecordingEngine() as engine:
        yield engine


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def peer(request: pytest.FixtureRequest) -> Peer:
    peer: Peer = request.param
    if peer.version() is None:
        pytest.skip(f"{peer.name} is not installed: {peer.advice}")
    return peer


@pytest.fixture(scope="module")
def contender(peer: Peer, engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contender]:
    above = tmp_path_factory.mktemp("peers")
    folder = above / "run" / peer.name
    folder.parent.mkdir()
    for each in (above, folder.parent):  # where nothing is to be imported from
        (each / "fastapi.py").write_text("raise SystemExit('a stray module')\n")
    with peer(folder, engine.port) as contender:
        yield contender


@pytest.fixture(autouse=True)
def _fresh(engine: RecordingEngine) -> None:
    engine.forget()


def ask(contender: Contender, *, stream: bool, key: str = "") -> tuple[int, bytes]:
    """Status and body of a chat."""
    chat: Object = {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": "Hello?"}]}
    connection = http.client.HTTPConnection("127.0.0.1", contender.port, timeout=SECONDS)
    headers = {"Authorization": f"Bearer {key or contender.key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(chat), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_answers_a_whole_chat(contender: Contender, engine: RecordingEngine) -> None:
    status, body = ask(contender, stream=False)
    assert status == 200, body
    choice = as_object(as_list(loads(body)["choices"])[0])
    assert as_object(choice["message"])["content"] == "Hello there"
    assert [seen.path for seen in engine.requests] == ["/v1/chat/completions"]
    assert engine.requests[0].document["model"] == MODEL


def test_relays_a_stream(contender: Contender, engine: RecordingEngine) -> None:
    status, body = ask(contender, stream=True)
    assert status == 200, body
    events = [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
    assert events[-1] == b"[DONE]"
    choices = [as_object(each) for event in events[:-1] for each in as_list(loads(event)["choices"])]
    assert "".join(str(as_object(each["delta"]).get("content") or "") for each in choices) == "Hello there"
    assert engine.requests[0].document["stream"] is True


def test_refuses_another_key_where_it_has_keys(peer: Peer, contender: Contender, engine: RecordingEngine) -> None:
    status, body = ask(contender, stream=False, key="sk-of-nobody")
    assert (status in {400, 401, 403}) is peer.checks_keys, body
    assert bool(engine.requests) is not peer.checks_keys


def test_is_reached_on_one_loopback_address_only(contender: Contender) -> None:
    with socket.socket() as probe:
        probe.settimeout(SECONDS)
        assert probe.connect_ex(("127.0.0.2", contender.port)) != 0
    assert contender.resident() > 1 << 20
    assert contender.started_in > 0


def test_is_gone_after_the_block(peer: Peer, engine: RecordingEngine, tmp_path: Path) -> None:
    with peer(tmp_path / "peer", engine.port) as contender:
        assert contender.resident() > 1 << 20
    assert contender.resident() == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", contender.port)) != 0


def test_is_down_where_it_cannot_answer(peer: Peer, tmp_path: Path) -> None:
    with pytest.raises(PeerDown, match=peer.name), peer(tmp_path / "peer", free_port()):
        pass
