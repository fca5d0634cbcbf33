"""Group commit, order, and what happens to what waits while the database is away."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from edge.ledger.entry import VOID, LedgerDown
from edge.ledger.journal import Journal, RowRefused
from edge.ledger.ledger import JournalLedger
from edge.ledger.rows import HOLD, PROGRESS, SETTLE, Row
from edge.store.database import Database
from tests.edge.ledger.fixtures import NOW, a_hold, journal_of, open_at, progress, settled, until


class Recorded:
    """A journal in memory: counts transactions, waits for a gate, fails when told to."""

    def __init__(self) -> None:
        self.transactions: list[list[Row]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fault: Exception | None = None
        self.tries = 0

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.transactions for row in rows]

    def append(self, rows: list[Row]) -> None:
        self.entered.set()
        assert self.gate.wait(20)
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        if any(row.key == "poison" for row in rows):
            raise RowRefused("IntegrityError")
        self.transactions.append(list(rows))

    def fold(self) -> None:
        pass

    def close(self) -> None:
        pass


@asynccontextmanager
async def running(database: Database, journal: Recorded | Journal | None = None) -> AsyncIterator[JournalLedger]:
    ledger = JournalLedger(database, journal=journal, close_within=5.0)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_what_comes_during_a_commit_is_one_transaction(tmp_path: Path) -> None:
    journal = Recorded()
    async with running(open_at(tmp_path), journal) as ledger:
        journal.gate.clear()
        first = asyncio.ensure_future(ledger.hold(a_hold("first")))
        await until(journal.entered.is_set)
        rest = [asyncio.ensure_future(ledger.hold(a_hold(f"r{number}"))) for number in range(50)]
        await until(lambda: ledger.waiting == 50)
        journal.gate.set()
        await asyncio.gather(first, *rest)
        assert [len(rows) for rows in journal.transactions] == [1, 50]
        assert [row.request_id for row in journal.rows] == ["first", *(f"r{number}" for number in range(50))]


async def test_many_holds_on_a_real_file_take_few_transactions(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    journal = Journal(database.url)
    commits: list[int] = []
    append = journal.append
    journal.append = lambda rows: (commits.append(len(rows)), append(rows))[1]  # type: ignore[method-assign,func-returns-value]
    async with running(database, journal) as ledger:
        await asyncio.gather(*(ledger.hold(a_hold(f"r{number}")) for number in range(1000)))
        assert len(journal_of(database)) == 1000
        for number in range(1000):
            ledger.settle(settled(f"r{number}"))
    assert len(commits) <= 150
    assert [row.kind for row in journal_of(database)].count(SETTLE) == 1000


async def test_a_hold_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    async with running(database) as ledger:
        await ledger.hold(a_hold())
        assert [(row.kind, row.request_id) for row in journal_of(database)] == [(HOLD, "r1")]


async def test_the_newest_progress_wins_and_none_follows_a_settlement(tmp_path: Path) -> None:
    journal = Recorded()
    async with running(open_at(tmp_path), journal) as ledger:
        await asyncio.gather(ledger.hold(a_hold("r1")), ledger.hold(a_hold("r2")))
        journal.gate.clear()
        journal.entered.clear()
        waited = asyncio.ensure_future(ledger.hold(a_hold("r3")))
        await until(journal.entered.is_set)
        for output in range(1, 100):
            ledger.progress(progress("r1", output))
            ledger.progress(progress("r2", output))
        ledger.settle(settled("r2"))
        ledger.progress(progress("r2", 7))  # too late: ignored
        journal.gate.set()
        await waited
    assert [(row.request_id, row.output) for row in journal.rows if row.kind == PROGRESS] == [("r1", 99)]


async def test_rows_are_ordered_by_sequence_when_the_clock_steps_back(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    async with running(database) as ledger:
        for number, at in enumerate((NOW, NOW + 86_400, NOW - 3600)):
            await ledger.hold(a_hold(f"r{number}", at))
            ledger.settle(settled(f"r{number}", at=at - 10))
    rows = journal_of(database)
    assert [row.request_id for row in rows if row.kind == HOLD] == ["r0", "r1", "r2"]
    assert [row.request_id for row in rows if row.kind == SETTLE] == ["r0", "r1", "r2"]


async def test_settling_twice_or_what_was_never_held_is_ignored(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    async with running(database) as ledger:
        await ledger.hold(a_hold())
        for _ in range(2):
            ledger.settle(settled())
        ledger.settle(settled("nobody"))
        ledger.progress(progress("nobody"))
        await ledger.checkpoint(progress("nobody"))
    assert [row.kind for row in journal_of(database)] == [HOLD, SETTLE]


async def test_a_checkpoint_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    async with running(database) as ledger:
        await ledger.hold(a_hold())
        await ledger.checkpoint(progress(output=33))
        assert [row.output for row in journal_of(database)] == [100, 33]


async def test_progress_that_waited_does_not_come_after_a_newer_checkpoint(tmp_path: Path) -> None:
    """It did: a recovery then charged less than what the caller had been promised to be on disk."""
    database = open_at(tmp_path)
    async with running(database) as ledger:
        await ledger.hold(a_hold())
        for output in range(10, 200, 10):
            ledger.progress(progress(output=output - 5))
            await ledger.checkpoint(progress(output=output))
        await until(lambda: ledger.waiting == 0)
    outputs = [row.output for row in journal_of(database) if row.kind == PROGRESS]
    assert outputs == list(range(10, 200, 10))


async def test_settlements_outlive_a_database_that_is_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Recorded()
    async with running(open_at(tmp_path), journal) as ledger:
        await ledger.hold(a_hold("r1"))
        journal.fault = LedgerDown("database or disk is full")
        for _ in range(3):
            with pytest.raises(LedgerDown, match="disk is full"):
                await ledger.hold(a_hold("r2"))
        with pytest.raises(LedgerDown):
            await ledger.checkpoint(progress("r1", 44))
        ledger.settle(settled("r1"))
        tries = journal.tries
        await until(lambda: journal.tries > tries + 2)
        journal.fault = None
        await ledger.hold(a_hold("r3"))
        await until(lambda: ledger.waiting == 0)
    assert [(row.kind, row.request_id) for row in journal.rows if row.kind != PROGRESS] == [
        (HOLD, "r1"),
        (SETTLE, "r1"),
        (HOLD, "r3"),
    ]
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "requests are refused until it can" in told[0]
    assert told[1] == "the ledger writes again"


async def test_a_row_that_is_refused_for_good_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Recorded()
    async with running(open_at(tmp_path), journal) as ledger:
        keys = ["k1", "poison", "k2"]
        asked = (ledger.hold(a_hold(f"r{number}", key=key)) for number, key in enumerate(keys))
        results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LedgerDown, type(None)]
    assert "refuses a row for good" in caplog.text


async def test_a_hold_whose_caller_leaves_is_voided(tmp_path: Path) -> None:
    journal = Recorded()
    async with running(open_at(tmp_path), journal) as ledger:
        journal.gate.clear()
        asked = asyncio.ensure_future(ledger.hold(a_hold()))
        await until(journal.entered.is_set)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        journal.gate.set()
        await until(lambda: len(journal.rows) == 2)
    assert [(row.kind, row.reason, row.requests) for row in journal.rows] == [(HOLD, None, 0), (SETTLE, VOID, 0)]


async def test_a_hold_that_was_refused_but_is_there_is_voided(tmp_path: Path) -> None:
    """PostgreSQL may vanish after the commit and before it says so."""
    database = open_at(tmp_path)
    journal = Journal(database.url)
    append = journal.append
    lost = [True]

    def lose(rows: list[Row]) -> None:
        append(rows)
        if lost and lost.pop():
            raise LedgerDown("the answer got lost")

    journal.append = lose  # type: ignore[method-assign,assignment]
    async with running(database, journal) as ledger:
        with pytest.raises(LedgerDown):
            await ledger.hold(a_hold())
        await until(lambda: len(journal_of(database)) == 2)
    assert [(row.kind, row.reason) for row in journal_of(database)] == [(HOLD, None), (SETTLE, VOID)]


async def test_a_full_disk_refuses_holds_and_loses_no_settlement(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    journal = Journal(database.url)
    pages = [10_000]
    event.listen(journal.engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={pages[0]}"))
    async with running(database, journal) as ledger:
        await ledger.hold(a_hold("first"))
        pages[0] = 1  # SQLite takes the file's present size for the least
        journal.close()
        written: list[str] = []
        with pytest.raises(LedgerDown, match="full"):
            await hold_on(ledger, written)
        ledger.settle(settled("first"))
        pages[0] = 10_000
        await until(lambda: ledger.waiting == 0)
    rows = journal_of(database)
    assert [row.request_id for row in rows if row.kind == SETTLE] == ["first"]
    assert [row.kind for row in rows].count(HOLD) == len(written) + 1


async def hold_on(ledger: JournalLedger, written: list[str]) -> None:
    for number in range(5000):
        await ledger.hold(a_hold(f"r{number}"))
        written.append(f"r{number}")


async def test_a_locked_database_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None, check_same_thread=False)
    async with running(database, Journal(database.url, busy_seconds=1)) as ledger:
        await ledger.hold(a_hold("r1"))
        other.execute("BEGIN EXCLUSIVE")
        ledger.settle(settled("r1"))
        with pytest.raises(LedgerDown, match="locked"):
            await ledger.hold(a_hold("r2"))
        other.execute("COMMIT")
        await ledger.hold(a_hold("r3"))
        other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.ensure_future(ledger.hold(a_hold("r4")))
        await asyncio.sleep(0.1)
        other.execute("COMMIT")
        await waiting  # within the bound: nobody noticed
    other.close()
    kinds = [(row.kind, row.request_id) for row in journal_of(database)]
    assert sorted(kinds) == [(HOLD, "r1"), (HOLD, "r3"), (HOLD, "r4"), (SETTLE, "r1")]


async def test_a_read_only_file_is_a_refusal(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    journal = Journal(database.url)
    event.listen(journal.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=1"))
    async with running(database, journal) as ledger:
        with pytest.raises(LedgerDown, match="readonly"):
            await ledger.hold(a_hold())


async def test_a_backup_moved_into_place_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    database = open_at(tmp_path)
    open_at(tmp_path / "other").close()
    async with running(database) as ledger:
        await ledger.hold(a_hold("old"))
        (tmp_path / "other" / "gateway.db").replace(tmp_path / "gateway.db")
        for left in ("gateway.db-wal", "gateway.db-shm"):
            (tmp_path / left).unlink(missing_ok=True)
        await ledger.hold(a_hold("new"))
        ledger.settle(settled("old"))
        ledger.settle(settled("new"))
    assert [(row.kind, row.request_id) for row in journal_of(database)] == [
        (HOLD, "new"),
        (SETTLE, "old"),
        (SETTLE, "new"),
    ]


async def test_closing_with_a_database_that_is_away_ends_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Recorded()
    ledger = JournalLedger(open_at(tmp_path), journal=journal, close_within=0.2)
    await ledger.start()
    await ledger.hold(a_hold())
    journal.fault = LedgerDown("away")
    ledger.settle(settled())
    await ledger.close()
    assert "1 rows unwritten" in caplog.text
