"""The same ledger on a real PostgreSQL that this module starts for itself."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from edge.ledger.estimates import Errors, errors
from edge.ledger.ledger import JournalLedger
from edge.ledger.presence import DEAD_AFTER
from edge.ledger.recovery import Recovery, spent
from edge.ledger.rollup import roll_up
from edge.ledger.rows import DAY, SETTLE, still_open
from edge.ledger.usage import BY, Span, used
from edge.store.database import Database
from tests.edge.identity.fixtures import Clock
from tests.edge.ledger.fixtures import NOW, a_hold, journal_of, progress, settled
from tests.edge.ledger.test_recovery import Worker


async def test_holds_progress_and_settlements_arrive_and_are_summed_up(postgres: Database) -> None:
    ledger = JournalLedger(postgres)
    await ledger.start()

    async def caller(number: int) -> None:
        for turn in range(10):
            name = f"{number}-{turn}"
            await ledger.hold(a_hold(name, NOW - turn * DAY / 2, key=f"k{number % 3}"))
            await ledger.checkpoint(progress(name))
            ledger.settle(settled(name, reason="engine_broke" if turn == 1 else ""))

    await asyncio.gather(*(caller(number) for number in range(16)))
    await ledger.close()
    ever = Span(0, 99_999)
    (whole,) = used(postgres, (), ever)
    assert (whole.requests, whole.errors, whole.output) == (160, 16, 160 * 50)
    assert errors(postgres, ever) == [Errors("ai/llama", 160, 0.0, 0.0, 0.0)]
    before = used(postgres, BY, ever)
    charged = sum(row.output for row in spent(postgres, NOW - 30 * DAY, NOW))
    while roll_up(postgres, 2 * DAY, NOW, most=7):
        pass
    assert used(postgres, BY, ever) == before
    assert sum(row.output for row in spent(postgres, NOW - 30 * DAY, NOW)) == charged == 160 * 50
    assert all(row.day >= NOW // DAY - 2 for row in journal_of(postgres)[:-1] if row.kind == SETTLE)


def test_what_a_killed_process_left_is_settled_after_30_seconds(postgres: Database, tmp_path: Path) -> None:
    worker = Worker(postgres, "w", tmp_path)
    worker.until_said(100)
    promised = worker.kill()
    clock = Clock(0.0)
    recovery = Recovery(postgres, monotonic=clock)
    assert recovery.run() == 0
    clock.at += DEAD_AFTER - 1
    assert recovery.run() == 0
    clock.at += 1
    assert 0 < recovery.run() <= 16
    rows = journal_of(postgres)
    assert still_open(rows) == []
    charged = {row.request_id: row.output for row in rows if row.kind == SETTLE}
    assert all(charged[name] >= output for _, name, output in promised)


async def test_two_that_recover_at_once_settle_once(postgres: Database) -> None:
    ledger = JournalLedger(postgres)
    await ledger.start()
    await asyncio.gather(*(ledger.hold(a_hold(f"r{number}")) for number in range(50)))
    await ledger.close()
    clock = Clock(0.0)
    racers = [Recovery(postgres, monotonic=clock) for _ in range(4)]
    assert [racer.run() for racer in racers] == [0] * 4
    clock.at += DEAD_AFTER
    found = await asyncio.gather(*(asyncio.to_thread(racer.run) for racer in racers))
    assert sorted(found) == [0, 0, 0, 50]
    assert [row.kind for row in journal_of(postgres)].count(SETTLE) == 50


async def test_a_heart_that_beats_is_left_alone(postgres: Database) -> None:
    clock = Clock(0.0)
    ledger = JournalLedger(postgres, monotonic=clock)
    await ledger.start()
    await ledger.hold(a_hold())
    watch = Clock(0.0)
    recovery = Recovery(postgres, monotonic=watch)
    for number in range(3):
        assert recovery.run() == 0
        clock.at += 10
        await ledger.hold(a_hold(f"r{number}"))  # wakes the thread, which beats first
        watch.at += DEAD_AFTER
    assert recovery.run() == 0
    await ledger.close()


async def test_a_server_that_cuts_the_connection_is_connected_to_again(postgres: Database) -> None:
    ledger = JournalLedger(postgres)
    await ledger.start()
    await ledger.hold(a_hold("r1"))
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with postgres.writing() as connection:
        connection.exec_driver_sql(cut)
    ledger.settle(settled("r1"))
    end = time.monotonic() + 20
    while not any(row.kind == SETTLE for row in journal_of(postgres)):
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    await ledger.hold(a_hold("r2"))
    await ledger.close()
