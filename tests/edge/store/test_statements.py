"""The same statements serve PostgreSQL: all of them compile for it."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import Dialect, Executable, Table, make_url
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from edge.identity.store import statements
from edge.store import statements as opening
from edge.store.schema import METADATA

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


def test_rows_are_locked_where_the_database_can() -> None:
    assert str(statements.LOCK.compile(dialect=dialect("postgresql"))).endswith("FOR UPDATE")
