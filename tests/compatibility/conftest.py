"""What all tests of this folder share; they run in one worker, in their order (tests/conftest.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compatibility.grid import Cell
from tests.compatibility.page import Result
from tests.compatibility.theatre import Theatre


@pytest.fixture(scope="session")
def results() -> dict[Cell, Result]:
    """What came out so far."""
    return {}


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    made = Theatre(tmp_path_factory.mktemp("theatre"))
    yield made
    made.close()
