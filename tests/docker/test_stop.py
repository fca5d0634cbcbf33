"""`docker stop` while 20 answers stream: each ends well or is told, within the drain time, and the exit code is 0."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from policies.json import Object, as_list, as_object
from tests.docker.conftest import Images
from tests.docker.daemon import docker
from tests.docker.running import LOCKED, Container, Start
from tests.system.calls import CHAT, assert_error_event, chunks, events, streamed
from tests.system.process import Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Drip, Hold, Stream, always, chunk
from tests.system.wire import Event, Wire, compose

pytestmark = [pytest.mark.timeout(900)]

STREAMS = 20
DRAIN = "4s"


@pytest.fixture
def engine(base: str) -> Iterator[RecordingEngine]:
    """On this machine, at the address that containers know it by."""
    ask = ("python3", "-c", "import socket; print(socket.gethostbyname('host'))")
    with RecordingEngine(docker("run", "--rm", "--add-host", "host:host-gateway", base, *ask)) as engine:
        yield engine


def configured(image: str, engine: RecordingEngine) -> Object:
    """The image's own configuration, with an engine on the host and less patience."""
    show = "print(open('/etc/llm-gateway/gateway.yaml').read())"
    text = docker("run", "--rm", "--entrypoint", "python3", image, "-c", show)
    made = as_object(yaml.safe_load(text))
    as_object(as_list(made["listeners"])[0])["limits"] = {"drain_s": DRAIN}
    url = f"http://host.docker.internal:{engine.port}"
    made["engines"] = {"discover": False, "list": [{"name": "fake", "kind": "openai", "url": url, "concurrency": 64}]}
    made["queue"] = {"in_flight_per_caller": 64}
    made["limits"] = {"classes": {"default": {"concurrency": 64}}}
    return made


@pytest.fixture
def gateway(start: Start, images: Images, engine: RecordingEngine, tmp_path: Path) -> Container:
    """In a container, with an engine on the host."""
    tmp_path.chmod(0o755)
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(configured(images.gateway, engine)))
    mounted = ("--volume", f"{tmp_path}:/etc/llm-gateway:ro", "--add-host", "host.docker.internal:host-gateway")
    return start(images.gateway, *LOCKED, *mounted).listens().ready()


def stream(gateway: Container, key: Key, text: str) -> Wire:
    """An answer that has begun."""
    wire = Wire.open(gateway.address)
    wire.send(compose("POST", CHAT, key.bearer, body=streamed(text)))
    return wire


def slowly() -> Drip:
    """What is left after two events, in about two seconds."""
    rest = b"".join(map(chunk, Stream().pieces()[2:])) + chunk(b"")
    return Drip(rest, size=len(rest) // 20 + 1, gap=0.1)


def ended_well(found: list[Event]) -> bool:
    if found[-1].data == "[DONE]":
        return bool(chunks(found))
    assert assert_error_event(found, "no such text")["code"] == "draining"
    return False


def test_every_stream_ends_well_or_is_told(gateway: Container, engine: RecordingEngine) -> None:
    engine.when("slow but sure", always(*Stream().until(2, slowly())))
    engine.when("stuck for ever", always(*Stream().until(2, Hold())))
    key = gateway.create_key("caller")
    wires = [stream(gateway, key, text) for text in ("slow but sure", "stuck for ever") for _ in range(STREAMS // 2)]
    until(lambda: len(engine.requests) == STREAMS, 20.0, "all of them run")
    with ThreadPoolExecutor(STREAMS + 1) as pool:
        stopped = pool.submit(docker, "stop", "--time", "30", gateway.id)
        well = list(pool.map(lambda wire: ended_well(events(wire, 30.0)), wires))
        stopped.result(60.0)
    assert well == [True] * (STREAMS // 2) + [False] * (STREAMS // 2)
    assert gateway.output.code == 0, gateway.output
    for wire in wires:
        wire.__exit__()
