"""Opening a database: URL -> engine, pragmas, transactions, and one-line errors."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from typing import Final, Literal, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from edge.identity.state import StateError
from edge.store.schema import HEAD, METADATA, VERSION
from edge.store.statements import FIRST_COUNTERS, FIRST_VERSION, LOCK_SCHEMA, SCHEMA_VERSION

BUSY_SECONDS: Final = 5
_AGAIN: Final = 0.01
"""Seconds."""
_BEGIN: Final = "sqlite_begin"


class Database:
    """One engine with the two kinds of transaction that stores need.

    All errors come out as StateError; the URL's password is never in one.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self._file = _sqlite_file(self.url)
        self._seen: tuple[int, int] | None = None
        with self._translated():
            if self._file is not None:
                _make_private(self._file)
                self._seen = self._identity()
            self._engine = make_engine(self.url)
            self._upgrade()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: on SQLite one consistent snapshot that never waits for a writer."""
        with self._translated():
            self._follow_file()
            with self._engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction, committed at the end or rolled back as a whole.

        BEGIN IMMEDIATE: a SQLite transaction that reads first and writes later fails at once with SQLITE_BUSY when
        another process wrote in between, and no busy timeout helps.
        """
        with self._translated():
            self._follow_file()
            with self._engine.connect() as connection:
                immediate = connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                with immediate.begin():
                    yield immediate

    def beside(self, make: Callable[[URL], Engine]) -> Self:
        """The same database by connections of their own, as `make` makes them.

        Not a second `Database` of that URL: whoever opens and closes SQLite's file in a process takes the locks of its
        other connections away (sqlite.org/howtocorrupt.html 2.2). The next other process then takes itself for the last
        one and deletes SQLite's log, and they fail with "disk I/O error".
        """
        other = copy(self)
        other._engine = make(self.url)  # noqa: SLF001 - it is one of us
        return other

    def close(self) -> None:
        self._engine.dispose()

    def _upgrade(self) -> None:
        """Bring the schema to HEAD, one process at a time; the loser of a race finds nothing to do."""
        with self._engine.connect() as connection, connection.begin():
            if _stored_version(connection) == HEAD:
                return
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(LOCK_SCHEMA)
            version = _stored_version(connection)
            if version is None:
                # A new database gets today's tables at once: 10 ms, where alembic's import alone takes 200 of a
                # start that must be over within a second. A test holds that both ways end in the same schema.
                METADATA.create_all(connection)
                connection.execute(FIRST_COUNTERS)
                connection.execute(FIRST_VERSION)
            elif version != HEAD:
                from edge.store.migrate import upgrade  # lazy: see above

                upgrade(connection)

    def _identity(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        status = self._file.stat()
        return status.st_dev, status.st_ino

    def _follow_file(self) -> None:
        """A pooled SQLite connection keeps the old file when a backup is moved into place, and would never see a
        revocation that another process writes to the new one. A missing file is an error, not a fresh database."""
        identity = self._identity()
        if identity != self._seen:
            self._engine.dispose()
            self._seen = identity

    @contextmanager
    def _translated(self) -> Iterator[None]:
        where = self.url.render_as_string(hide_password=True)
        try:
            yield
        except DBAPIError as error:
            # Only the driver's class: its text may hold a statement's values or the connection string.
            text = str(error.orig) if isinstance(error.orig, sqlite3.Error) else type(error.orig).__name__
            raise StateError(f"the database {where} failed ({text})", "check that it is up and writable") from error
        except (SQLAlchemyError, OSError) as error:
            text = error.strerror or "" if isinstance(error, OSError) else ""
            raise StateError(
                f"the database {where} failed ({text or type(error).__name__})", "check that it is there and writable"
            ) from error


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError:
        raise StateError(
            "stores.database is not a database URL", "write sqlite:////path/gateway.db or postgresql://user@host/name"
        ) from None


def make_engine(
    url: URL,
    *,
    synchronous: Literal["FULL", "NORMAL"] = "FULL",
    busy_seconds: int = BUSY_SECONDS,
    wipes: bool = False,
) -> Engine:
    """An engine whose SQLite connections are in WAL mode; `synchronous` and the wait for others' locks as asked.

    FULL survives a power cut, for an fsync per commit; NORMAL survives whatever happens to this process. `wipes`: what
    is deleted is overwritten in SQLite's file.
    """
    sqlite = url.get_backend_name() == "sqlite"
    # check_same_thread: callers use threads of their choosing, and the pool lends a connection to one at a time.
    arguments: dict[str, int | bool] = {}
    if sqlite:
        arguments = {"timeout": busy_seconds, "check_same_thread": False}
    elif url.get_driver_name().startswith("psycopg"):
        # libpq waits for ever by default; the watcher's poll must fail and try again instead.
        arguments = {"connect_timeout": busy_seconds, "tcp_user_timeout": busy_seconds * 1000}
    try:
        engine = create_engine(url, connect_args=arguments, pool_pre_ping=not sqlite, hide_parameters=True)
    except NoSuchModuleError:
        raise StateError("unknown kind of database", "use sqlite:/// or postgresql://") from None
    except ModuleNotFoundError as error:
        raise StateError(f"the driver {error.name} is missing", "pip install 'psycopg[binary]'") from None
    if sqlite:
        # FULL: a revoked key stays revoked after a power cut.
        pragmas = (f"synchronous={synchronous}", *(["secure_delete=ON"] if wipes else []))
        event.listen(engine, "connect", partial(_prepare, busy_seconds, pragmas))
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(
    busy_seconds: int, pragmas: tuple[str, ...], connection: DBAPIConnection, _record: ConnectionPoolEntry
) -> None:
    # sqlite3 would begin transactions on its own, but not before DDL: migrations would not be atomic. `_begin` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        _to_wal(cursor, busy_seconds)
        cursor.execute("PRAGMA foreign_keys=ON")
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _to_wal(cursor: DBAPICursor, busy_seconds: int) -> None:
    """Readers never wait for a writer then; kept as is where unsupported.

    Of several that open a new file at once SQLite tells some that it is locked, without waiting as it does elsewhere.
    """
    until = time.monotonic() + busy_seconds
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_AGAIN)
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(str(connection.get_execution_options().get(_BEGIN, "BEGIN")))


def _stored_version(connection: Connection) -> str | None:
    # Asked by name first: on PostgreSQL a failed SELECT would spoil the transaction.
    if not connection.dialect.has_table(connection, VERSION.name):
        return None
    return connection.execute(SCHEMA_VERSION).scalar()


def _sqlite_file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StateError("the database must be a file", "write sqlite:////path/gateway.db")
    return Path(url.database).absolute()


def _make_private(path: Path) -> None:
    """Make the file 0600 before SQLite does with the umask; SQLite gives its -wal and -shm files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
