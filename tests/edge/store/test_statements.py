"""The same statements serve PostgreSQL: all of them compile for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest
from sqlalchemy import Dialect, Executable, Table, create_mock_engine, make_url
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from edge.identity.store import statements
from edge.store import statements as opening
from edge.store.schema import LEDGER, METADATA
from tests.system.process import ROOT

ALL: Final = {
    f"{module.__name__}.{name}": value
    for module in (opening, statements)
    for name, value in vars(module).items()
    if isinstance(value, Executable) and isinstance(value, ClauseElement) and not isinstance(value, Table)
}


def dialect(name: str) -> Dialect:
    return make_url(f"{name}://").get_dialect()()


@pytest.mark.parametrize("name", sorted(ALL))
def test_it_compiles_for_both_and_carries_no_value_in_its_text(name: str) -> None:
    for dialect_name in ("postgresql", "sqlite"):
        sql = str(ALL[name].compile(dialect=dialect(dialect_name)))
        assert sql
        assert "'" not in sql


def test_tables_and_indexes_compile_for_postgresql() -> None:
    for table in METADATA.tables.values():
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect("postgresql")))
        for index in table.indexes:
            assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect("postgresql")))


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_the_ledgers_indexes_are_made_partial_on_both(name: str) -> None:
    """They cover settlements and progress, and not every hold."""
    said: list[str] = []
    engine: MockConnection = create_mock_engine(
        f"{name}://", lambda sql, *_, **__: said.append(str(sql.compile(dialect=engine.dialect)))
    )
    LEDGER.create(engine, checkfirst=False)
    made = sorted(" ".join(each.split()) for each in said if "CREATE INDEX" in each)
    assert made == [
        "CREATE INDEX ix_ledger_progress ON ledger (day) WHERE kind = 2",
        "CREATE INDEX ix_ledger_settled ON ledger (day) WHERE kind = 3",
    ]


def test_on_sqlite_nothing_of_postgresql_is_imported() -> None:
    """SQLAlchemy's half of it takes 30 ms of each start and 2 MB."""
    code = "import sys, edge.gateway; print([name for name in sys.modules if 'postgres' in name or 'psycopg' in name])"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rows_are_locked_where_the_database_can() -> None:
    assert str(statements.LOCK.compile(dialect=dialect("postgresql"))).endswith("FOR UPDATE")
