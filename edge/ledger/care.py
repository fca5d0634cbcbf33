"""What the ledger needs while the gateway runs: settling for instances that die, and retention."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from edge.identity.state import StateError
from edge.ledger.recovery import Recovery
from edge.ledger.rollup import roll_up
from edge.store.database import Database

LOOK_SECONDS: Final = 10.0
ROLL_UP_SECONDS: Final = 3600.0
_BREATH: Final = 0.05  # between two small transactions: holds go first
_log = logging.getLogger(__name__)


async def look_after(
    database: Database,
    recovery: Recovery,
    keep: float,
    *,
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    look: float = LOOK_SECONDS,
) -> None:
    """For ever: every `look` seconds settle what others left open; every hour roll up what is older than `keep`.

    A database that fails is logged, and asked again the next time.
    """
    rolled = float("-inf")
    while True:
        try:
            if settled := await asyncio.to_thread(recovery.run):
                _log.warning("the ledger settled %d requests that another process left open", settled)
            if monotonic() - rolled >= ROLL_UP_SECONDS:
                await _roll_up_all(database, keep, wall)
                rolled = monotonic()
        except StateError as error:
            _log.warning("the ledger could not be looked after: %s", error)
        await asyncio.sleep(look)


async def _roll_up_all(database: Database, keep: float, wall: Callable[[], float]) -> None:
    more = True
    while more:
        more = await asyncio.to_thread(roll_up, database, keep, wall())
        await asyncio.sleep(_BREATH)
