"""What the ledger's tests share: entries, an opened database, and what stands in the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from edge.ledger.entry import Hold, Progress, Settled
from edge.ledger.rows import COLUMNS, Row
from edge.store.database import Database
from edge.store.schema import LEDGER

NOW = 1_800_000_000.0


def a_hold(
    request_id: str = "r1",
    at: float = NOW,
    *,
    key: str = "k1",
    owner: str = "ann",
    output: int = 100,
    stream: bool = True,
    rate_class: str = "",
) -> Hold:
    return Hold(
        request_id, at, key, owner, ("dev",), "local", "ai/llama", "dmr", "chat", stream, 10, output, rate_class
    )


def settled(request_id: str = "r1", *, output: int = 50, reason: str = "", at: float = NOW + 2) -> Settled:
    return Settled(request_id, at, 10, output, gpu_ms=1500, reason=reason, finish="stop", source="engine")


def progress(request_id: str = "r1", output: int = 20) -> Progress:
    return Progress(request_id, NOW + 1, 10, output)


def open_at(folder: Path) -> Database:
    return Database(f"sqlite:///{folder / 'gateway.db'}")


def journal_of(database: Database) -> list[Row]:
    """All rows, in the order of their numbers."""
    with database.reading() as connection:
        columns = [LEDGER.c[name] for name in COLUMNS]
        return [Row(*row) for row in connection.execute(select(*columns).order_by(LEDGER.c.seq))]


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for `condition`, with a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)
