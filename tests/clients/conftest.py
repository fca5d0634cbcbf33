"""Real engines, each started once for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.real_engine import KINDS, running
from tests.clients.runs import Entry


@pytest.fixture(scope="module", params=tuple(KINDS))
def entry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entry]:
    engine = KINDS[request.param]
    with running(engine, tmp_path_factory.mktemp("engine")) as document:
        yield engine, document
