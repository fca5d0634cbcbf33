"""After a crash: what a process left open is settled once, by whoever comes, and never while it still serves."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.ledger.care import look_after
from edge.ledger.entry import RECOVERED
from edge.ledger.ledger import JournalLedger
from edge.ledger.presence import DEAD_AFTER, Watch
from edge.ledger.recovery import Recovery, Spent, spent
from edge.ledger.rollup import roll_up
from edge.ledger.rows import DAY, HOLD, PROGRESS, SETTLE, still_open
from edge.store.database import Database
from edge.tasks import Tasks
from tests.edge.identity.fixtures import Clock
from tests.edge.ledger.fixtures import NOW, a_hold, journal_of, open_at, progress, settled, until

# Holds, streams and settles at full speed from 16 requests at once, and says on standard output what it was promised:
# a line per acknowledged hold or checkpoint.
WORKER = """
import asyncio, json, sys, time
from pathlib import Path
from edge.ledger.entry import Hold, Progress, Settled
from edge.ledger.ledger import JournalLedger
from edge.store.database import Database

def say(*words):
    sys.stdout.write(json.dumps(words) + "\\n")
    sys.stdout.flush()

async def caller(ledger, number):
    turn = 0
    while True:
        turn += 1
        name = f"{sys.argv[2]}-{number}-{turn}"
        await ledger.hold(Hold(name, time.time(), "k", "o", (), "l", "m", "e", "chat", True, 10, 100))
        say("held", name, 0)
        for output in (10, 20, 30):
            ledger.progress(Progress(name, time.time(), 10, output - 5))
            await ledger.checkpoint(Progress(name, time.time(), 10, output))
            say("checked", name, output)
        ledger.settle(Settled(name, time.time(), 10, 40))

async def main():
    ledger = JournalLedger(Database(sys.argv[1]))
    await ledger.start()
    say("up", "", 0)
    await asyncio.gather(*(caller(ledger, number) for number in range(16)))

asyncio.run(main())
"""


class Worker:
    """A process that writes the journal until it is killed. What it says goes to a file: a full pipe would stop it."""

    def __init__(self, database: Database, name: str, folder: Path) -> None:
        url = database.url.render_as_string(hide_password=False)
        self._said = folder / f"{name}.said"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen([sys.executable, "-c", WORKER, url, name], stdout=said)
        self.until_said(1)

    def until_said(self, lines: int) -> None:
        """Wait until it said so many lines; the first one only means that it is there."""
        end = time.monotonic() + 20
        while self._said.read_bytes().count(b"\n") < lines:
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.005)

    def kill(self) -> list[tuple[str, str, int]]:
        """SIGKILL; returns what it was promised before."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        said = self._said.read_bytes()
        whole = said[: said.rfind(b"\n") + 1]
        return [tuple(json.loads(line)) for line in whole.splitlines()[1:]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_at(tmp_path)
    yield opened
    opened.close()


def instances(folder: Path) -> int:
    with sqlite3.connect(folder / "gateway.db") as connection:
        found = connection.execute("SELECT count(*) FROM ledger_instances").fetchone()[0]
    connection.close()
    return int(found)


def locks(folder: Path) -> list[Path]:
    return list(folder.glob("*.lock"))


def test_killed_at_random_points_nothing_acknowledged_is_lost_and_nothing_stays_open(
    database: Database, tmp_path: Path
) -> None:
    chance = random.Random(4)
    for turn in range(6):
        worker = Worker(database, str(turn), tmp_path)
        worker.until_said(1 + 40 * (turn % 2))
        time.sleep(chance.uniform(0, 0.25))  # the random point itself
        promised = worker.kill()
        started = time.monotonic()
        assert Recovery(database).run() <= 16
        assert time.monotonic() - started < 2
        rows = journal_of(database)
        assert still_open(rows) == []
        held = {row.request_id for row in rows if row.kind == HOLD}
        charged = {row.request_id: row.output for row in rows if row.kind == SETTLE}
        for what, name, output in promised:
            assert name in held, what
            assert charged[name] >= output, what
    settlements = [row.request_id for row in journal_of(database) if row.kind == SETTLE]
    assert len(settlements) == len(set(settlements)) > 0
    assert instances(tmp_path) == 0
    assert locks(tmp_path) == []


async def test_open_holds_are_settled_from_their_last_progress(database: Database) -> None:
    ledger = JournalLedger(database)
    await ledger.start()
    await asyncio.gather(*(ledger.hold(a_hold(name)) for name in ("r1", "r2", "r3")))
    ledger.settle(settled("r1"))
    await ledger.checkpoint(progress("r2", 20))
    await ledger.checkpoint(progress("r2", 25))
    await ledger.close()
    assert Recovery(database, wall=lambda: NOW + 9).run() == 2
    found = {row.request_id: row for row in journal_of(database) if row.kind == SETTLE and row.reason == RECOVERED}
    assert {name: (row.input, row.output, row.ended_at) for name, row in found.items()} == {
        "r2": (10, 25, NOW + 9),
        "r3": (10, 0, NOW + 9),
    }
    assert Recovery(database).run() == 0


async def test_what_another_process_serves_is_left_alone_whatever_the_clocks_say(database: Database) -> None:
    ledger = JournalLedger(database)
    await ledger.start()
    await ledger.hold(a_hold())
    later = Clock(0.0)
    recovery = Recovery(database, wall=lambda: NOW + DAY, monotonic=later)
    for _ in range(3):
        assert recovery.run() == 0
        later.at += 10 * DEAD_AFTER
    ledger.settle(settled())
    await ledger.close()
    assert [row.kind for row in journal_of(database)] == [HOLD, SETTLE]


async def test_a_clean_end_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    ledger = JournalLedger(database)
    await ledger.start()
    await ledger.hold(a_hold())
    ledger.settle(settled())
    await ledger.close()
    assert instances(tmp_path) == 0
    assert locks(tmp_path) == []


def test_without_locks_only_a_heart_that_stood_still_before_our_eyes_is_dead(database: Database) -> None:
    clock = Clock(0.0)
    watch = Watch(database, monotonic=clock)
    assert not watch.still("a", 1)
    clock.at = DEAD_AFTER - 1
    assert not watch.still("a", 1)
    assert not watch.still("a", 2)  # it beat
    clock.at = 2 * DEAD_AFTER - 2
    assert not watch.still("a", 2)
    clock.at = 2 * DEAD_AFTER
    assert watch.still("a", 2)


async def test_who_was_taken_for_dead_sets_off_what_the_other_charged(database: Database, tmp_path: Path) -> None:
    """A process that was stopped for long (SIGSTOP, a sleeping virtual machine) goes on where it was."""
    clock = Clock(0.0)
    ledger = JournalLedger(database, monotonic=clock)
    await ledger.start()
    await ledger.hold(a_hold())
    await ledger.checkpoint(progress(output=20))
    (lock,) = locks(tmp_path)
    lock.unlink()  # as on PostgreSQL: nothing but the beat tells
    assert Recovery(database).run() == 1
    clock.at += 60
    await ledger.hold(a_hold("r2"))
    await until(lambda: instances(tmp_path) == 1)  # taken note
    ledger.settle(settled("r1", output=50))
    ledger.settle(settled("r2", output=1))
    await ledger.close()
    rows = [row for row in journal_of(database) if row.kind == SETTLE and row.request_id == "r1"]
    assert [(row.requests, row.errors, row.input, row.output) for row in rows] == [(1, 1, 10, 20), (0, -1, 0, 30)]


async def test_the_beat_moves_the_floor_past_what_is_settled(database: Database, tmp_path: Path) -> None:
    clock = Clock(0.0)
    ledger = JournalLedger(database, monotonic=clock)
    await ledger.start()
    for name in ("r1", "r2"):
        await ledger.hold(a_hold(name))
        ledger.settle(settled(name))
    await until(lambda: len(journal_of(database)) == 4)
    for beat, name in ((2, "short"), (3, "open"), (4, "more")):
        clock.at += 60
        await ledger.hold(a_hold(name))
        await until(lambda beat=beat: _instance(tmp_path)[0] == beat)  # type: ignore[misc]
        if name == "short":
            ledger.settle(settled(name))
    await ledger.close()
    assert _instance(tmp_path)[1] == 4  # "open" lies above it
    assert Recovery(database).run() == 2
    assert still_open(journal_of(database)) == []


def _instance(folder: Path) -> tuple[int, int]:
    with sqlite3.connect(folder / "gateway.db") as connection:
        (row,) = connection.execute("SELECT beat, floor FROM ledger_instances").fetchall()
    connection.close()
    return int(row[0]), int(row[1])


async def test_spent_comes_in_sums_that_are_the_coarser_the_older(database: Database) -> None:
    now = NOW + 40 * DAY
    ledger = JournalLedger(database)
    await ledger.start()
    # one that gets rolled up, two in one half of a day, one in the other half, one too old, one recent
    midnight = (NOW // DAY + 30) * DAY
    moments = [NOW + 12 * DAY, midnight + 10, midnight + 20, midnight + DAY - 5, NOW, now - 60]
    for number, at in enumerate(moments):
        await ledger.hold(a_hold(f"r{number}", at))
        ledger.settle(settled(f"r{number}", at=at + 1))
    await until(lambda: len(journal_of(database)) == 2 * len(moments))
    await ledger.close()
    while roll_up(database, 20 * DAY, now):
        pass
    found = list(spent(database, now - 30 * DAY, now))
    who = ("k1", "ann", ("dev",), "ai/llama", "local", "")
    assert found == [
        Spent((NOW // DAY + 13) * DAY - 1, *who, 1, 10, 50, 1500),
        Spent(midnight + 20, *who, 2, 20, 100, 3000),
        Spent(midnight + DAY - 5, *who, 1, 10, 50, 1500),
        Spent(now - 60, *who, 1, 10, 50, 1500),
    ]


async def test_the_task_settles_for_who_dies_while_it_runs(database: Database, tmp_path: Path) -> None:
    tasks = Tasks()
    worker = Worker(database, "w", tmp_path)
    recovery = Recovery(database)
    kept = tasks.keep(lambda: look_after(database, recovery, 90 * DAY, look=0.01), name="ledger")
    try:
        await until(lambda: any(row.kind == PROGRESS for row in journal_of(database)))
        assert not any(row.reason == RECOVERED for row in journal_of(database))
        await asyncio.to_thread(worker.kill)
        await until(lambda: still_open(journal_of(database)) == [])
        assert not kept.done()
    finally:
        await tasks.close()
