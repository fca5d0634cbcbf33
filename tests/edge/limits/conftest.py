"""A real redis-server for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.limits.redis_server import RedisServer, running


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Empty, and the test's own: it may kill it."""
    with running() as server:
        yield server
