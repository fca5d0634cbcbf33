"""Who writes the journal, and who of them is gone: one row per process, and for SQLite a lock that dies with it.

A recovery must not settle what another process still serves. SQLite's file is on this machine, so a locked file tells
the truth at once, whatever clocks say: the kernel drops the lock with the process, SIGKILL included. PostgreSQL is
shared between machines: there an instance is gone when its `beat` stood still for DEAD_AFTER seconds of the watcher's
own monotonic clock. Nobody's wall clock is compared with anybody else's.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.ledger import statements as sql
from edge.store.database import Database

BEAT_SECONDS: Final = 5.0
DEAD_AFTER: Final = 30.0


class Presence:
    """This process's row in `ledger_instances`, and its lock. Blocking."""

    def __init__(self, database: Database, instance: str, *, wall: Callable[[], float]) -> None:
        self.instance = instance
        self._database = database
        self._wall = wall
        self._held: int | None = None

    def enter(self) -> int:
        """Lock, then register; returns the journal's newest number. StateError, OSError."""
        path = lock_path(self._database, self.instance)
        if path is not None and self._held is None:
            self._held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(OSError):  # a file system without locks: `beat` has to do
                _lock(self._held)
        return self.beat(lambda: None)[0]

    def beat(self, floor: Callable[[], int | None]) -> tuple[int, bool]:
        """Say that we are alive and that nothing of ours at or below `floor()` (None: nothing at all) is open.

        `floor` is asked when nobody can write any more: another thread marks holds, and writes them.

        Returns the journal's newest number, and whether our row was gone (another took us for dead, or a backup was
        moved into place) and is made anew. StateError.
        """
        with self._database.writing() as connection:
            last = connection.execute(sql.LAST).scalar() or 0
            found = floor()
            lowest = last if found is None else found
            gone = connection.execute(sql.BEAT, {"me": self.instance, "lowest": lowest}).rowcount == 0
            if gone:
                row = {"id": self.instance, "started_at": self._wall(), "beat": 1, "floor": lowest}
                connection.execute(sql.REGISTER, row)
        return last, gone

    def leave(self, *, clean: bool) -> None:
        """Let the lock go; with nothing open (`clean`), take the row out as well. StateError."""
        try:
            if clean:
                with self._database.writing() as connection:
                    connection.execute(sql.LEAVE, {"id": self.instance})
                path = lock_path(self._database, self.instance)
                if path is not None:
                    path.unlink(missing_ok=True)
        finally:
            if self._held is not None:
                os.close(self._held)
                self._held = None


class Watch:
    """Tells which other instances are gone; remembers what it saw, so it is asked again and again."""

    def __init__(self, database: Database, *, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._seen: dict[str, tuple[int, float]] = {}

    def still(self, instance: str, beat: int) -> bool:
        """Whether `beat` has stood still for DEAD_AFTER seconds under our eyes."""
        now = self._monotonic()
        last, since = self._seen.get(instance, (beat, now))
        self._seen[instance] = (beat, since if last == beat else now)
        return last == beat and now - since >= DEAD_AFTER

    def forget(self, instance: str) -> None:
        self._seen.pop(instance, None)

    @contextmanager
    def gone(self, instance: str, beat: int) -> Iterator[bool]:
        """Whether `instance` is gone; while inside, nobody else can find the same on this machine."""
        path = lock_path(self._database, instance)
        if path is None:
            yield self.still(instance, beat)
            return
        try:
            held = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            yield True
            return
        try:
            try:
                free = _lock(held)
            except OSError:  # a file system without locks: some shared folders of virtual machines
                free = self.still(instance, beat)
            yield free
            if free:
                path.unlink(missing_ok=True)
        finally:
            os.close(held)


def lock_path(database: Database, instance: str) -> Path | None:
    """Beside the SQLite file; None for PostgreSQL."""
    if database.url.get_backend_name() != "sqlite" or not database.url.database:
        return None
    path = Path(database.url.database).absolute()
    return path.with_name(f"{path.name}-ledger-{instance}.lock")


def _lock(descriptor: int) -> bool:
    """Lock it unless another has; whether it is ours. OSError where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
