"""What accounting costs a request: seats, hold and settlement in six windows, two rows on disk, a turn in the queue.

`cpu`: process time per request while 64 run at once (all threads, the journal's own too), which is what a busy gateway
pays. `alone`: the time one request waits for all of it, the disk's transaction among it, when nothing else runs.
"""

from __future__ import annotations

import asyncio
import gc
import time
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from edge.accounts import Accounts
from edge.ledger.inline import FOLD_ROWS
from edge.ledger.ledger import JournalLedger
from edge.limits.clock import Clock
from edge.limits.memory import MemoryBudget, MemoryLeases
from edge.limits.rules import Rules
from edge.limits.settings import Amounts, LimitClass, LimitSettings, Per, Rule
from edge.queue.contract import Wish
from edge.queue.engine_queue import Queues
from edge.queue.settings import QueueLimits
from edge.store.opening import open_database
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange
from policies.input import Shape
from policies.json import Object
from policies.principal import DEFAULT_SCOPES, Principal
from tests.policies import asking

GOAL: Final = 100.0
"""Microseconds per request."""
_AT_ONCE: Final = 64
_WARM: Final = FOLD_ROWS
"""Requests before the first figure: until SQLite's log, which grows after a start (8 us more), is used again."""
_WHO: Final = Principal("ann", "k1", "laptop", "key", frozenset({"dev"}), DEFAULT_SCOPES)
_ENGINE: Final = Engine("e", Kind.OPENAI, "http://127.0.0.1:1", _AT_ONCE)
_TARGET: Final = Target(_ENGINE, Model("tiny", "tiny"))
_LIMITS: Final = LimitSettings(
    {"default": LimitClass(rpm=10**8, tpm=10**9, tpd=10**10, concurrency=1_000)},
    (
        Rule(name="month", per=Per.OWNER, tokens=Amounts(month=10**10)),
        Rule(name="team", per=Per.GROUP, tokens=Amounts(day=10**10), output=Amounts(hour=10**10)),
    ),
)


def measure(folder: Path, rounds: int) -> list[Object]:
    """Two rows: under load and alone. As in a gateway, what the start made is no burden to the garbage collector."""
    gc.collect()
    gc.freeze()
    try:
        return uvloop.run(_measure(folder, rounds))
    finally:
        gc.unfreeze()


async def _measure(folder: Path, rounds: int) -> list[Object]:
    database = open_database(folder, None)
    ledger = JournalLedger(database)
    await ledger.start()
    accounts = Accounts(
        Rules(_LIMITS), MemoryBudget(Clock().ms), MemoryLeases(), ledger, clock=time.monotonic, wall=time.time
    )
    queue = Queues(QueueLimits()).of(_ENGINE)
    permit = asking.permit(asking.question(_WHO, Operation.CHAT, "tiny"))
    call = Call(Operation.CHAT, Dialect.OPENAI, "tiny", stream=True)
    count = iter(range(1 << 40))

    def fresh() -> Exchange:
        exchange = Exchange(f"{next(count):032x}", Client("127.0.0.1", 1, "local"))
        exchange.principal, exchange.shape = _WHO, Shape(messages=1, input_chars=40)
        return exchange

    async def one(exchange: Exchange) -> None:
        async with accounts.open(exchange, permit, call, _TARGET):
            async with queue.turn(Wish(_WHO.key_id, model="tiny")) as ticket:
                ticket.began()
                exchange.stages.sent = time.monotonic()
                usage = exchange.outcome.usage
                usage.input, usage.output, usage.source = 11, 20, "engine"
                ticket.charge(11, 20)
            exchange.stages.answered = time.monotonic()
            exchange.outcome.status = 200

    async def many(times: int) -> None:
        for _ in range(times):
            await one(fresh())

    try:
        await many(_WARM)
        alone: list[float] = []
        for _ in range(rounds // 5):
            exchange = fresh()
            began = time.perf_counter()
            await one(exchange)
            alone.append((time.perf_counter() - began) * 1e6)
        loaded: list[float] = []
        for _ in range(5):
            began = time.process_time()
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(many(max(1, rounds // _AT_ONCE)))
            loaded.append((time.process_time() - began) * 1e6 / (_AT_ONCE * max(1, rounds // _AT_ONCE)))
    finally:
        await ledger.close()
        database.close()
    cpu = median(loaded)
    return [
        {"way": "cpu, 64 at once", "p50_us": round(cpu, 1), "goal_us": GOAL, "met": cpu <= GOAL},
        {"way": "alone, elapsed", "p50_us": round(median(alone), 1), "goal_us": GOAL, "met": median(alone) <= GOAL},
    ]
