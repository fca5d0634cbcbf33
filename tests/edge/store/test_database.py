"""Opening a database: schema, privacy, one-line errors, and a file that is exchanged while it is open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from edge.identity.grant import Grant
from edge.identity.state import StateError
from edge.identity.store.opening import open_keys
from edge.store.database import Database, make_engine
from edge.store.statements import KEYS_COUNTER, bump, counter
from tests.edge.identity.fixtures import open_store

OPEN_TWICE = """
import sys
import threading
from pathlib import Path
from edge.identity.store.opening import open_keys
sys.stdin.read(1)
store = open_keys(Path(sys.argv[1])).store
from edge.identity.grant import Grant
store.create(Grant("racer"))
print("alembic" in sys.modules)
"""


def test_a_new_home_holds_private_files_in_wal_mode(tmp_path: Path) -> None:
    keys = open_keys(tmp_path / "home")
    keys.store.create(Grant("ci"))
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "home").iterdir()}
    assert files.keys() >= {"gateway.db", "gateway.db-wal", "pepper"}
    assert set(files.values()) == {0o600}


def test_racing_first_starts_end_with_one_schema_and_all_keys(tmp_path: Path) -> None:
    home = tmp_path / "home"
    racers = [
        subprocess.Popen([sys.executable, "-c", OPEN_TWICE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go")
        racer.stdin.flush()
    # False: alembic stays out of every start that has nothing to migrate.
    assert [racer.communicate()[0] for racer in racers] == [b"False\n"] * 3
    assert len(open_keys(home).store.list()) == 3


def test_a_lost_pepper_is_an_error_once_there_are_keys(tmp_path: Path) -> None:
    open_keys(tmp_path).store.create(Grant("ci"))
    (tmp_path / "pepper").unlink()
    with pytest.raises(StateError, match=r"pepper \S+ is missing"):
        open_keys(tmp_path)


def test_a_pepper_of_another_database_is_an_error(tmp_path: Path) -> None:
    open_keys(tmp_path).store.create(Grant("ci"))
    (tmp_path / "pepper").write_text("0" * 64)
    with pytest.raises(StateError, match="does not belong"):
        open_keys(tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "oracle9://x", ""])
def test_a_url_that_cannot_be_used_is_one_line(url: str) -> None:
    with pytest.raises(StateError, match=r"^[^\n]+$"):
        Database(url)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateError, match="psycopg"):
        Database("postgresql+psycopg://gateway:hunter2@127.0.0.1:1/keys")


def test_a_file_that_is_no_database_is_one_line_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_bytes(b"not a database, but somebody's thesis" * 100)
    with pytest.raises(StateError, match=r"^the database \S+ failed \(file is not a database\): [^\n]+$"):
        open_store(tmp_path)
    assert (tmp_path / "gateway.db").read_bytes().startswith(b"not a database")


def test_a_folder_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file or directory"):
        open_store(tmp_path / "nowhere")


def test_a_database_of_a_newer_gateway_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StateError, match="newer gateway"):
        open_store(tmp_path)


def test_a_backup_moved_into_place_is_followed(tmp_path: Path) -> None:
    """Else a pooled connection would keep the old file, and never see a revocation written to the new one."""
    (tmp_path / "other").mkdir()
    store, other = open_store(tmp_path), open_store(tmp_path / "other")
    store.create(Grant("old"))
    record, _ = other.create(Grant("new"))
    other.close()
    (tmp_path / "other" / "gateway.db").replace(tmp_path / "gateway.db")
    for left in ("gateway.db-wal", "gateway.db-shm"):
        (tmp_path / left).unlink(missing_ok=True)
    assert [key.id for key in store.list()] == [record.id]


def test_a_database_that_vanished_is_an_error_and_not_made_anew(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.unlink()
    with pytest.raises(StateError, match="No such file or directory"):
        store.revision()
    assert not list(tmp_path.iterdir())


def test_a_writer_does_not_block_the_poll(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    writer = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE meta SET value = 99")
    try:
        assert store.revision() == 1
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_who_opens_a_new_file_waits_for_another_that_does(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, other.close)
    timer.start()
    with make_engine(make_url(f"sqlite:///{path}")).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    timer.join()


def test_who_must_not_wait_does_not(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(OperationalError):
        make_engine(make_url(f"sqlite:///{path}"), busy_seconds=0).connect()
    other.close()


def test_connections_beside_leave_the_first_ones_their_locks(tmp_path: Path) -> None:
    """Without locks of ours another process takes itself for the last one, and deletes SQLite's log under our feet."""
    path = tmp_path / "gateway.db"
    database = Database(f"sqlite:///{path}")
    visit = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall(); c.close()"
    )
    journal = make_engine(database.url, synchronous="NORMAL")
    with journal.connect() as held:  # stays open, as the ledger's does
        with held.begin():
            held.execute(bump(KEYS_COUNTER))
        beside = database.beside(partial(make_engine, synchronous="NORMAL", wipes=True))
        with beside.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
            connection.execute(bump(KEYS_COUNTER))
        beside.close()
        subprocess.run([sys.executable, "-c", visit, str(path)], check=True)
        assert Path(f"{path}-wal").exists()
        with held.begin():
            held.execute(bump(KEYS_COUNTER))
    with database.reading() as connection:
        assert connection.execute(counter(KEYS_COUNTER)).scalar_one() == 4
    journal.dispose()
    database.close()
