"""Home folder and database URL -> the Database: the one place that knows the file's name."""

from __future__ import annotations

from pathlib import Path

from edge.identity.state import open_home
from edge.store.database import Database


def open_database(home: Path, database_url: str | None = None) -> Database:
    """Open (on first use: make) the state folder and its database; `database_url` None = gateway.db in `home`.

    Raises StateError.
    """
    open_home(home)
    return Database(database_url or f"sqlite:///{home / 'gateway.db'}")
