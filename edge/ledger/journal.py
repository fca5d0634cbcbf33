"""The journal's file: appends rows, many in one transaction, on a connection of its own. Blocking; one thread's.

Why not the connection of the other stores: SQLite's `synchronous=FULL` there costs an fsync per commit, milliseconds
on a laptop's disk. NORMAL writes to the WAL without waiting for the platter: what is committed survives any end of this
process, SIGKILL included, and of a power cut the last moments may be missing (docs/decisions/0020).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Final, Literal

from sqlalchemy import URL, Dialect, PoolProxiedConnection
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError

from edge.identity.state import StateError
from edge.ledger.entry import LedgerDown
from edge.ledger.rows import Row
from edge.ledger.statements import insert_text
from edge.store.database import make_engine

MOST_ROWS: Final = 64
"""Rows of one transaction; 64 * 25 values stay far below SQLite's 32,766 and PostgreSQL's 65,535."""
BUSY_SECONDS: Final = 2
_MOST_PAGES: Final = 8_192
"""Of SQLite's log (32 MiB), after which it is begun anew even while others write."""
_CACHE_KIB: Final = 256
"""Of SQLite's pages, for each connection that appends: it only ever needs the last ones, and would fill 2 MiB with
others in the course of hours."""
_REFUSED: Final = ("DataError", "IntegrityError", "OverflowError", "UnicodeEncodeError")


class RowRefused(Exception):
    """One of the rows is such that the database will never take it."""


class Journal:
    """Appends to `ledger`. Opens its connection when first used, and again after a failure.

    `folds`: whether SQLite may bring its log into the file within an append, for which it waits for the disk.
    """

    def __init__(self, url: URL, *, busy_seconds: int = BUSY_SECONDS, folds: bool = True) -> None:
        self._folds = folds
        self._busy_seconds = busy_seconds
        self.engine = make_engine(url, synchronous="NORMAL", busy_seconds=busy_seconds)
        sqlite = url.get_backend_name() == "sqlite"
        self._dialect = _positional(url, "qmark" if sqlite else "format")
        self._file = url.database if sqlite else None
        self._seen: tuple[int, int] | None = None
        self._connection: PoolProxiedConnection | None = None
        self._cursor: DBAPICursor | None = None
        self._texts: dict[int, str] = {}

    def append(self, rows: Sequence[Row]) -> None:
        """Commit at most MOST_ROWS rows, all or none.

        LedgerDown if that cannot be done now, RowRefused if never. After LedgerDown nobody knows whether they are
        there: a PostgreSQL that vanishes while committing does not say.
        """
        try:
            # One statement outside of any transaction is one: no BEGIN, no COMMIT. That matters less to the
            # database than to this thread, which has to get Python's lock back after each call.
            self._connected().execute(self._text(len(rows)), list(chain.from_iterable(rows)))
        except Exception as error:
            if type(error).__name__ in _REFUSED:
                raise RowRefused(type(error).__name__) from error
            if not _is_locked(error):
                self.close()
            raise LedgerDown(_words(error)) from error

    def fold(self) -> None:
        """Bring what is in SQLite's log into its file; writers wait only for the moment in which the log begins anew.

        A log that is never empty grows for ever: each commit goes behind what is folded meanwhile.
        """
        if self._file is None:
            return
        with suppress(Exception):  # whatever is wrong, the next append says it
            cursor = self._connected()
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            _, pages, _ = cursor.fetchall()[0]
            if pages >= _MOST_PAGES:
                cursor.execute("PRAGMA busy_timeout=20")  # ms: it would wait for readers, and keep writers waiting
                cursor.execute("PRAGMA wal_checkpoint(RESTART)")
                cursor.fetchall()
                cursor.execute(f"PRAGMA busy_timeout={self._busy_seconds * 1000}")

    def close(self) -> None:
        """Let the connection go; the next append opens another."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            connection.invalidate()
        self.engine.dispose()

    def _connected(self) -> DBAPICursor:
        identity = self._identity()
        if self._cursor is not None and identity == self._seen:
            return self._cursor
        # A backup moved into place: an open connection would go on writing to the file that is gone.
        self.close()
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        if self._file is None and driver is not None:
            driver.autocommit = True
        cursor = connection.cursor()
        if self._file is not None:
            cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        if not self._folds:
            cursor.execute("PRAGMA wal_autocheckpoint=0")
        self._connection, self._cursor, self._seen = connection, cursor, identity
        return cursor

    def _identity(self) -> tuple[int, int] | None:
        if self._file is None:
            return None
        status = os.stat(self._file)  # noqa: PTH116 - for each commit: a Path costs more than the call
        return status.st_dev, status.st_ino

    def _text(self, rows: int) -> str:
        text = self._texts.get(rows)
        if text is None:
            text = self._texts[rows] = insert_text(self._dialect, rows)
        return text


def _positional(url: URL, style: Literal["qmark", "format"]) -> Dialect:
    kind = url.get_dialect()
    if not issubclass(kind, DefaultDialect):
        raise StateError("unknown kind of database", "use sqlite:/// or postgresql://")
    return kind(paramstyle=style)


def _is_locked(error: Exception) -> bool:
    """Whether another connection writes, which is no fault of this one."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


def _words(error: Exception) -> str:
    """One line without values: a driver's text may hold the connection string or what was to be written."""
    if isinstance(error, StateError):
        return str(error)
    cause = error.__cause__ if isinstance(error, SQLAlchemyError) and error.__cause__ else error
    if type(cause).__module__ == "sqlite3":
        return str(cause)
    return (isinstance(cause, OSError) and cause.strerror) or type(cause).__name__
