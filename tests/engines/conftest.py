"""The real transport, for every test of the engine side."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engines.transport import HttpTransport


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport()
    yield made
    await made.close()
