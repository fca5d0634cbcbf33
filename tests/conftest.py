"""Tests that bound an elapsed time run while no other test does: `@pytest.mark.alone`. Tests of some folders share what
is costly to make, and so run in one worker."""

from __future__ import annotations

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadGroupScheduling

from edge.store.database import Database
from tests.postgres_server import PostgresServer
from tests.postgres_server import postgres as running_postgres

_LOCKS: Final = Path(__file__).parent.parent / ".cache"
_TOGETHER: Final = ("tests/clients/", "tests/compatibility/", "tests/docker/")

# Examples bound behaviour, not time (a busy machine is no failure), and are new ones in each run, in CI too.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.load_profile("house")


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    """Readers and a writer over the worker processes. Who comes passes the gate, and one that waits to be alone holds
    it, so that the others cannot keep it waiting for ever."""
    with (_LOCKS / "tests.gate").open("w") as gate, (_LOCKS / "tests.lock").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around the set-up too, and outside of the time-out."""
    _LOCKS.mkdir(exist_ok=True)
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


def _group(nodeid: str) -> str:
    return next((folder for folder in _TOGETHER if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """For `--dist loadgroup`, by folder. Marks (`xdist_group`) do nothing: pytest-xdist 3.8 writes the group's name to
    a field that pytest 9.2 no longer reads."""
    scheduler = LoadGroupScheduling(config, log)
    scheduler._split_scope = _group
    return scheduler


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """A real one, for the tests of one module."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[Database]:
    """A database of this test's own."""
    opened = Database(postgres_server.fresh())
    yield opened
    opened.close()
