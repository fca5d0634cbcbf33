"""What the event loop writes itself, what it leaves to the thread, and that rows stay in order between the two."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import select

from edge.ledger.entry import VOID, LedgerDown
from edge.ledger.inline import FOLD_ROWS
from edge.ledger.journal import Journal, RowRefused
from edge.ledger.ledger import JournalLedger
from edge.ledger.presence import Presence
from edge.ledger.rows import HOLD, PROGRESS, SETTLE, Row, hold_row
from edge.store.database import Database
from edge.store.schema import LEDGER_INSTANCES
from tests.edge.ledger.fixtures import NOW, a_hold, journal_of, open_at, progress, settled, until
from tests.edge.ledger.test_writer import Recorded


class Both:
    """Two journals in memory, and the order in which rows came to either."""

    def __init__(self) -> None:
        self.quick, self.slow = Recorded(), Recorded()


@asynccontextmanager
async def running(database: Database, both: Both, clock: list[float] | None = None) -> AsyncIterator[JournalLedger]:
    now = clock or [0.0]
    ledger = JournalLedger(database, journal=both.slow, quick=both.quick, monotonic=lambda: now[0])
    await ledger.start()
    try:
        yield ledger
    finally:
        both.slow.gate.set()
        await ledger.close()


def kinds(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.kind, row.request_id) for row in rows]


async def test_what_one_turn_of_the_loop_asks_for_is_one_transaction(tmp_path: Path) -> None:
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        await asyncio.gather(*(ledger.hold(a_hold(f"r{number}")) for number in range(30)))
        assert [len(rows) for rows in both.quick.transactions] == [1, 29]  # who comes first does not wait for others
        assert both.slow.tries == 0


async def test_a_settlement_goes_with_the_next_hold(tmp_path: Path) -> None:
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        await ledger.hold(a_hold("r1"))
        ledger.settle(settled("r1"))
        await ledger.hold(a_hold("r2"))
        assert [kinds(rows) for rows in both.quick.transactions] == [
            [(HOLD, "r1")],
            [(SETTLE, "r1"), (HOLD, "r2")],
        ]
        ledger.settle(settled("r2"))
        await until(lambda: len(both.quick.transactions) == 3)  # nobody comes: it goes alone


async def test_the_newest_progress_is_written_and_none_after_what_is_newer(tmp_path: Path) -> None:
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        await asyncio.gather(ledger.hold(a_hold("r1")), ledger.hold(a_hold("r2")))
        for output in range(1, 10):
            ledger.progress(progress("r1", output))
            ledger.progress(progress("r2", output))
        ledger.settle(settled("r2"))
        await until(lambda: ledger.waiting == 0)
        assert [(row.kind, row.request_id, row.output) for row in both.quick.transactions[-1]] == [
            (SETTLE, "r2", 50),
            (PROGRESS, "r1", 9),
        ]


async def test_a_hold_whose_caller_left_before_it_was_written_is_not_written(tmp_path: Path) -> None:
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        first, asked = (asyncio.ensure_future(ledger.hold(a_hold(name))) for name in ("r0", "r1"))
        asyncio.get_running_loop().call_soon(asked.cancel)  # comes after their first steps, and before the transaction
        with pytest.raises(asyncio.CancelledError):
            await asked
        await first
        await ledger.hold(a_hold("r2"))
    assert kinds(both.quick.rows) == [(HOLD, "r0"), (HOLD, "r2")]
    assert both.slow.rows == []


@pytest.mark.parametrize("quick", [True, False], ids=["locked", "PostgreSQL"])
async def test_a_hold_that_was_tried_and_never_written_is_not_taken_for_open(tmp_path: Path, *, quick: bool) -> None:
    """It would keep the floor where it is, and with that every roll-up, for as long as the process lives."""
    both, database = Both(), open_at(tmp_path)
    both.quick.fault = LedgerDown("database is locked")
    ledger = JournalLedger(database, journal=both.slow, quick=both.quick if quick else None)
    await ledger.start()
    asked = asyncio.ensure_future(ledger.hold(a_hold("r1")))
    asyncio.get_running_loop().call_soon(asked.cancel)  # after its first step, and before the end of the loop's turn
    with pytest.raises(asyncio.CancelledError):
        await asked
    await ledger.hold(a_hold("r2"))
    assert kinds(both.slow.rows) == [(HOLD, "r2")]
    ledger.settle(settled("r2"))
    await ledger.close()
    assert instances(database) == [], "it ended with nothing open"


async def test_a_hold_that_the_thread_writes_while_it_ends_is_voided_if_its_caller_left(tmp_path: Path) -> None:
    both, database = Both(), open_at(tmp_path)
    async with running(database, both) as ledger:
        both.slow.gate.clear()
        both.quick.fault = LedgerDown("database is locked")
        asked = asyncio.ensure_future(ledger.hold(a_hold("r1")))
        await until(both.slow.entered.is_set)
        both.quick.fault = None
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
    assert kinds(both.slow.rows) == [(HOLD, "r1")]
    assert [(row.kind, row.request_id, row.reason) for row in both.quick.rows] == [(SETTLE, "r1", VOID)]
    assert instances(database) == []


@pytest.mark.parametrize("fault", [LedgerDown("database is locked"), RowRefused("IntegrityError")])
async def test_what_cannot_be_done_at_once_goes_to_the_thread_and_all_that_follows_too(
    tmp_path: Path, fault: Exception
) -> None:
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        await ledger.hold(a_hold("r1"))
        both.slow.gate.clear()
        both.quick.fault = fault
        second = asyncio.ensure_future(ledger.hold(a_hold("r2")))
        await until(both.slow.entered.is_set)
        both.quick.fault, tries = None, both.quick.tries
        ledger.settle(settled("r1"))
        third = asyncio.ensure_future(ledger.hold(a_hold("r3")))
        await until(lambda: ledger.waiting >= 2)
        assert both.quick.tries == tries  # it would overtake the second hold
        both.slow.gate.set()
        await asyncio.gather(second, third)
        assert kinds(both.slow.rows) == [(HOLD, "r2"), (SETTLE, "r1"), (HOLD, "r3")]

        async def at_once() -> bool:
            await ledger.hold(a_hold(f"n{both.slow.tries}"))
            return both.quick.tries > tries

        for _ in range(100):  # the thread is done a moment after it told those who waited
            if await at_once():
                break
        else:
            raise AssertionError("it never wrote at once again")


async def test_after_a_long_stop_the_thread_looks_around_first(tmp_path: Path) -> None:
    """Others may have taken us for dead and settled what is open: only who has looked may write a settlement."""
    both, clock = Both(), [0.0]
    async with running(open_at(tmp_path), both, clock) as ledger:
        await ledger.hold(a_hold("r1"))
        clock[0] += 60
        ledger.settle(settled("r1"))
        await until(lambda: bool(both.slow.rows))
        assert kinds(both.slow.rows) == [(SETTLE, "r1")]
        await until(lambda: ledger.waiting == 0)
        await ledger.hold(a_hold("r2"))
        assert (HOLD, "r2") in kinds(both.quick.rows + both.slow.rows)


async def test_a_hold_waits_for_another_writer_and_succeeds(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    ledger = JournalLedger(database)
    await ledger.start()
    await ledger.hold(a_hold("r1"))
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ledger.settle(settled("r1"))
        second = asyncio.ensure_future(ledger.hold(a_hold("r2")))
        await until(lambda: ledger.waiting == 0 or second.done())  # it is with the thread, in its transaction
        assert not second.done()
        other.execute("COMMIT")
        await second
    await ledger.close()
    assert kinds(journal_of(database)) == [(HOLD, "r1"), (SETTLE, "r1"), (HOLD, "r2")]


async def test_the_log_of_sqlite_stays_small_and_the_loop_never_folds_it(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    ledger = JournalLedger(database)
    await ledger.start()
    for turn in range(4 * FOLD_ROWS // 64):
        names = [f"{turn}-{number}" for number in range(32)]
        await asyncio.gather(*(ledger.hold(a_hold(name)) for name in names))
        for name in names:
            ledger.settle(settled(name))
    log = tmp_path / "gateway.db-wal"
    await until(lambda: ledger.waiting == 0)
    assert log.stat().st_size < 48 << 20
    await ledger.close()
    assert len(journal_of(database)) == 4 * FOLD_ROWS


def test_a_log_that_has_grown_begins_anew_while_others_read(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    quick, slow = Journal(database.url, busy_seconds=0, folds=False), Journal(database.url)
    row = _row()
    log = tmp_path / "gateway.db-wal"
    for _ in range(1_000):
        quick.append([row] * 64)
    grown = log.stat().st_size
    slow.fold()
    for _ in range(100):
        quick.append([row] * 64)
    assert log.stat().st_size == grown  # it is written from its beginning again
    with closing(sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM ledger").fetchone() == (1_100 * 64,)
        slow.fold()  # the reader keeps the log from beginning anew; nobody is refused for that
        quick.append([row])
    quick.close()
    slow.close()


def test_nobody_writes_between_the_newest_number_and_the_floor(tmp_path: Path) -> None:
    """A hold of that moment would lie at the floor, and a recovery would not see it."""
    database = open_at(tmp_path)
    presence = Presence(database, "me", wall=lambda: NOW)
    presence.enter()
    quick = Journal(database.url, busy_seconds=0, folds=False)

    def floor() -> None:
        with pytest.raises(LedgerDown, match="locked"):
            quick.append([_row()])

    assert presence.beat(floor)[0] == 0
    quick.append([_row()])
    assert presence.beat(lambda: 0)[0] == 1
    quick.close()
    presence.leave(clean=True)


def instances(database: Database) -> list[str]:
    """Who writes the journal, or left something open in it."""
    with database.reading() as connection:
        return list(connection.execute(select(LEDGER_INSTANCES.c.id)).scalars())


def _row() -> Row:
    return hold_row(a_hold(), "me")


async def test_after_an_outage_the_loop_says_that_it_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only the thread did: where the event loop wrote again first, the thread woke every 50 ms for ever."""
    both = Both()
    async with running(open_at(tmp_path), both) as ledger:
        both.quick.fault = both.slow.fault = LedgerDown("database or disk is full")
        with pytest.raises(LedgerDown):
            await ledger.hold(a_hold("r1"))
        both.quick.fault = both.slow.fault = None
        await until(lambda: ledger.waiting == 0)
        for number in range(100):  # the thread is done a moment after it told who waited
            tries = both.quick.tries
            await ledger.hold(a_hold(f"n{number}"))
            if both.quick.tries > tries:
                break
        assert caplog.text.count("the ledger writes again") == 1
