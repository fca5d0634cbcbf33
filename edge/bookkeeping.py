"""Opens what requests are accounted with: limits, seats, journal; and puts right what the last run left.

On start the holds that a dead process left open are settled from their last checkpoint; then the windows in memory are
filled again from the journal, so that a restart gives nobody a new day. With Redis the windows never went away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

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

_log = logging.getLogger(__name__)
_JWT: Final = "jwt:"


@dataclass(frozen=True, slots=True)
class Books:
    """What is open."""

    accounts: Accounts
    ledger: JournalLedger
    close: Callable[[], Awaitable[None]]


async def open_books(settings: Settings, database: Database, tasks: Tasks) -> Books:
    """Everything, ready to take requests. StateError."""
    rules = Rules(settings.limits)
    counting = _counting(settings)
    ledger = JournalLedger(database)
    recovery = Recovery(database, ledger.instance)
    await ledger.start()
    if recovered := await asyncio.to_thread(recovery.run):
        _log.warning("settled %d requests that the last run left open", recovered)
    if counting.memory is not None:
        before = await asyncio.to_thread(lambda: list(charges(database, rules, time.time())))
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
    return Books(accounts, ledger, close)


def _counting(settings: Settings) -> Counting:
    if settings.stores.redis is None:
        return in_memory(Clock())
    limits = settings.limits
    return in_redis(settings.stores.redis, Clock(), on_error=limits.on_store_error, share=limits.store_error_share)


def charges(database: Database, rules: Rules, now: float) -> Iterator[tuple[str, Meter, float, int]]:
    """What the journal says was spent in the longest window, by counter: (subject, meter, when, how much)."""
    names = key_names(database)
    known: dict[tuple[object, ...], list[tuple[str, Meter]]] = {}  # the same callers come again in every step of time
    for row in spent(database, now - MONTH.seconds, now):
        which = (row.key, row.owner, row.groups, row.model, row.listener, row.rate_class)
        counters = known.get(which)
        if counters is None:
            asking = Asking(
                caller(row.key, row.owner, row.groups, names), row.model, row.listener, row.rate_class or None
            )
            bounds = rules.counters(asking, now)
            counters = known[which] = list(dict.fromkeys((bound.subject, bound.meter) for bound in bounds))
        amounts = _amounts(row)
        for subject, meter in counters:
            yield subject, meter, row.at, amounts[meter]


def caller(key: str, owner: str, groups: tuple[str, ...], names: Mapping[str, str]) -> Principal:
    """Who the journal means, as far as limits ask for it; `names` are those of the keys by id.

    The key id of a JWT's caller is `jwt:<issuer>:<name>`, and an issuer's name has no colon (edge/identity/jwt.py).
    """
    jwt = key.startswith(_JWT)
    name = key.removeprefix(_JWT).partition(":")[2] if jwt else names.get(key, key)
    return Principal(owner, key, name, "jwt" if jwt else "key", frozenset(groups), DEFAULT_SCOPES)


def _amounts(row: Spent) -> dict[Meter, int]:
    return {
        Meter.REQUESTS: row.requests,
        Meter.INPUT: row.input,
        Meter.OUTPUT: row.output,
        Meter.TOKENS: row.input + row.output,
        Meter.GPU_MS: row.gpu_ms,
    }
