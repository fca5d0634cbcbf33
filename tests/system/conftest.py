"""One recording engine and one gateway per xdist worker, shared by all tests that leave them as they were.

`gateway` is that shared one; a test that needs other settings, or that stops or breaks its gateway, asks `launch` for
one of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from policies.json import JSON
from tests.edge.limits.redis_server import RedisServer, running
from tests.system.fleet import WORKERS, Muster, muster
from tests.system.process import Gateway, Key, configuration
from tests.system.recording_engine import RecordingEngine
from tests.system.stocking import Places


class Launch(Protocol):
    """Start a gateway of the test's own: `changes` as in `process.configuration`; `like` another, with its pepper."""

    def __call__(
        self, *, env: Mapping[str, str] | None = None, like: Gateway | None = None, **changes: JSON
    ) -> Gateway: ...


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[RecordingEngine]:
    with RecordingEngine() as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: RecordingEngine) -> Iterator[RecordingEngine]:
    """The engine behind `gateway` and behind those of `launch`, with a clean book."""
    shared_engine.forget()
    yield shared_engine
    shared_engine.release()
    assert shared_engine.pipelined == b"", "the gateway sent a request before it had the answer to the one before"


@pytest.fixture(scope="session")
def shared_gateway(shared_engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), configuration(shared_engine.url))
    try:
        yield gateway.start().ready()
    finally:
        gateway.kill()


@pytest.fixture(scope="session")
def shared_key(shared_gateway: Gateway) -> Key:
    return shared_gateway.create_key("shared")


@pytest.fixture
def gateway(shared_gateway: Gateway, engine: RecordingEngine) -> Gateway:
    """The shared gateway; it must be alive before and after each test."""
    assert shared_gateway.process.poll() is None, shared_gateway.err.text
    return shared_gateway


@pytest.fixture
def key(gateway: Gateway, shared_key: Key) -> Key:
    """A key for `gateway` with the default scopes and all models."""
    return shared_key


@pytest.fixture
def launch(engine: RecordingEngine, tmp_path: Path) -> Iterator[Launch]:
    with ExitStack() as stack:
        count = iter(range(100))

        def start(*, env: Mapping[str, str] | None = None, like: Gateway | None = None, **changes: JSON) -> Gateway:
            folder = tmp_path / f"gateway{next(count)}"
            if like is not None:
                (folder / "home").mkdir(mode=0o700, parents=True)
                shutil.copy(like.folder / "home" / "pepper", folder / "home" / "pepper")
            gateway = Gateway(folder, configuration(engine.url, **changes), env or {})
            stack.callback(gateway.kill)
            return gateway.start().ready()

        yield start


@pytest.fixture(scope="session")
def shared_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    places = Places(tmp_path_factory.mktemp("stocked"))
    yield places
    places.close()


@pytest.fixture
def place(shared_places: Places) -> Iterator[Places]:
    """Gateways in front of engines that fetch and delete models."""
    yield shared_places
    shared_places.after()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    with running() as server:
        yield server


@pytest.fixture(params=["one", "four"])
def fleet(request: pytest.FixtureRequest, launch: Launch) -> Muster:
    """Start one gateway that counts in memory, or four that count in one Redis."""
    if request.param == "one":
        return lambda **limits: muster(launch, None, 1, limits=limits)
    redis: RedisServer = request.getfixturevalue("redis")
    return lambda **limits: muster(launch, redis, WORKERS, limits=limits)
