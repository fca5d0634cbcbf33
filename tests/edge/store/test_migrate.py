"""The migrations lead to the very schema that a new database gets at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from edge.identity.grant import Grant
from edge.store.migrate import head, upgrade
from edge.store.schema import HEAD, METADATA
from tests.edge.identity.fixtures import open_store


def migrate(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()


def shape(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Each table's columns (name, type, not null, primary key) and indexes, and the rows of meta."""
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    found: dict[str, list[tuple[object, ...]]] = {
        name: sorted((c[1], c[2], c[3], c[5]) for c in connection.execute(f"PRAGMA table_info({name})"))
        for name in names
    }
    found["rows"] = [*connection.execute("SELECT * FROM meta"), *connection.execute("SELECT * FROM alembic_version")]
    connection.close()
    return {name: columns for name, columns in found.items() if not name.startswith("sqlite_")}


def test_the_code_wants_the_newest_migration() -> None:
    assert head() == HEAD


def test_migrating_and_creating_end_in_the_same_schema(tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db")
    open_store(tmp_path).close()
    assert shape(tmp_path / "migrated.db") == shape(tmp_path / "gateway.db")


def test_alembic_finds_nothing_left_to_do(tmp_path: Path) -> None:
    migrate(tmp_path / "gateway.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_a_migrated_database_is_opened_as_it_is(tmp_path: Path) -> None:
    migrate(tmp_path / "gateway.db")
    store = open_store(tmp_path)
    record, _ = store.create(Grant("ci"))
    assert store.list() == (record,)


def test_the_first_gateways_database_gains_policies_and_keeps_its_keys(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.begin() as connection:
        upgrade(connection, to="0001")
        row = "'k234567890', 'ci', 'ann', '[]', '[\"inference\"]', '[\"*\"]', '[]', '[]', 1.0"
        columns = "id, name, owner, groups, scopes, models, networks, listeners, created_at"
        connection.exec_driver_sql(f"INSERT INTO keys ({columns}) VALUES ({row})")  # noqa: S608 - constants above
    engine.dispose()
    store = open_store(tmp_path)
    assert [record.grant.name for record in store.list()] == ["ci"]
    store.close()
    (tmp_path / "new").mkdir()
    open_store(tmp_path / "new").close()
    assert shape(tmp_path / "gateway.db") == shape(tmp_path / "new" / "gateway.db")
