"""`GET /metrics`, for a Prometheus that shows a key with scope `metrics:read` (or `admin`).

The text is written in the event loop, a block at a time: a thread would keep the interpreter's lock for 5 ms at each
turn. One scrape at a time; who comes meanwhile waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from edge.admin.answers import Answer, Ask
from observability.metrics.exposition import END, Format, blocks, wanted
from observability.metrics.registry import Registry

METRICS: Final = "/metrics"
_SLICE: Final = 0.001
"""Seconds after which others have a turn."""


class MetricsPage:
    """The page. `clock`: monotonic seconds."""

    def __init__(self, registry: Registry, *, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._writing = asyncio.Lock()

    async def show(self, ask: Ask) -> Answer:
        """All metrics, in the format that the caller likes best."""
        form = wanted(ask.headers.get("accept", ""))
        async with self._writing:
            body = await self.text(form)
        return Answer(200, {"content-type": form.content_type}, body)

    async def text(self, form: Format) -> bytes:
        """The page itself."""
        parts: list[bytes] = []
        since = self._clock()
        for snapshot in self._registry.snapshots():
            for block in blocks(snapshot, form):
                parts.append(block.encode())
                if self._clock() - since > _SLICE:
                    await asyncio.sleep(0)
                    since = self._clock()
        if form.open:
            parts.append(END.encode())
        return b"".join(parts)
