"""Opens what requests are accounted with: limits, seats, journal; and puts right what the last run left.

On start the holds that a dead process left open are settled from their last checkpoint; then the windows in memory are
filled again from the journal, so that a restart gives nobody a new day. With Redis the windows never went away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from edge.accounts import Accounts
from edge.config.settings import Settings
from edge.ledger.care import look_after
from edge.ledger.ledger import JournalLedger
from edge.ledger.recovery import Recovery, Spent, spent
from edge.ledger.usage import key_names
from edge.limits.clock import Clock
from edge.limits.contract import MONTH, Meter
from edge.limits.opening import Counting, in_memory, in_redis
from edge.limits.rules import Asking, Rules
from edge.store.database import Database
from edge.tasks import Tasks
from policies.principal import DEFAULT_SCOPES, Principal


@dataclass(frozen=True, slots=True)
class Books:
    """What is open. `recovered`: requests of a process that died, settled on this start."""

    accounts: Accounts
    recovered: int
    close: Callable[[], Awaitable[None]]


async def open_books(settings: Settings, database: Database, tasks: Tasks) -> Books:
    """Everything, ready to take requests. StateError."""
    rules = Rules(settings.limits)
    counting = _counting(settings)
    ledger = JournalLedger(database)
    recovery = Recovery(database, ledger.instance)
    await ledger.start()
    recovered = await asyncio.to_thread(recovery.run)
    if counting.memory is not None:
        before = await asyncio.to_thread(lambda: list(_charges(database, rules)))
        counting.memory.restore(before)
    _ = tasks.keep(lambda: look_after(database, recovery, settings.ledger.keep), name="ledger care")

    async def close() -> None:
        await ledger.close()
        await counting.close()

    accounts = Accounts(
        rules,
        counting.budget,
        counting.leases,
        ledger,
        clock=time.monotonic,
        wall=time.time,
        remote=counting.memory is None,
    )
    return Books(accounts, recovered, close)


def _counting(settings: Settings) -> Counting:
    if settings.stores.redis is None:
        return in_memory(Clock())
    limits = settings.limits
    return in_redis(settings.stores.redis, Clock(), on_error=limits.on_store_error, share=limits.store_error_share)


def _charges(database: Database, rules: Rules) -> Iterator[tuple[str, Meter, float, int]]:
    """What the journal says was spent in the longest window, by counter."""
    now = time.time()
    names = key_names(database)
    for row in spent(database, now - MONTH.seconds, now):
        owner = row.owner
        who = Principal(owner, row.key, names.get(row.key, row.key), "key", frozenset(row.groups), DEFAULT_SCOPES)
        counters = {(bound.subject, bound.meter) for bound in rules.counters(Asking(who, row.model, row.listener), now)}
        for subject, meter in counters:
            yield subject, meter, row.at, _amount(row, meter)


def _amount(row: Spent, meter: Meter) -> int:
    match meter:
        case Meter.REQUESTS:
            return row.requests
        case Meter.INPUT:
            return row.input
        case Meter.OUTPUT:
            return row.output
        case Meter.TOKENS:
            return row.input + row.output
        case Meter.GPU_MS:
            return row.gpu_ms
