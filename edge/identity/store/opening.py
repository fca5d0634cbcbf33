"""Home folder and database URL -> a ready KeyStore: the one place that knows where the pepper is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edge.identity.pepper import Peppers, open_peppers
from edge.identity.state import StateError
from edge.identity.store import statements as sql
from edge.identity.store.store import KeyStore
from edge.store.database import Database
from edge.store.opening import open_database


class Keys(NamedTuple):
    """What opening gives: the store, the peppers that a KeyDirectory needs, and the database for other stores."""

    store: KeyStore
    peppers: Peppers
    database: Database


def open_keys(home: Path, database_url: str | None = None) -> Keys:
    """Open (on first use: make) the state folder, database and pepper; `database_url` None = gateway.db in `home`.

    Raises StateError. A pepper is only ever made for a database without keys; two processes that start at once agree,
    because keys are stored after the pepper is in place.
    """
    database = open_database(home, database_url)
    with database.reading() as connection:
        needed = set(connection.execute(sql.PEPPER_IDS).scalars())
    peppers = open_peppers(home / "pepper", create=not needed)
    if needed and needed.isdisjoint(peppers.secrets):
        raise StateError(
            f"the pepper {home / 'pepper'} does not belong to this database",
            "restore the one its keys were made with, or give every replica the same file",
        )
    return Keys(KeyStore(database, peppers), peppers, database)
