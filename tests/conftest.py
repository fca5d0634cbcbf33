"""Tests that bound an elapsed time run while no other test does: `@pytest.mark.alone`."""

from __future__ import annotations

import fcntl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

_LOCKS: Final = Path(__file__).parent.parent / ".cache"


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
