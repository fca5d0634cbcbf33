"""The real transport, for every test of the engine side."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from engines.transport import AiohttpTransport


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    made = AiohttpTransport()
    yield made
    await made.close()
