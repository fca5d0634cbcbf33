"""The ledger's statements serve both databases, and carry no value in their text."""

from __future__ import annotations

from typing import Final

import pytest
from sqlalchemy import Executable, Table, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql import ClauseElement

from edge.ledger import statements
from edge.ledger.rows import COLUMNS
from edge.ledger.usage import BY

ALL: Final = {
    name: value
    for name, value in vars(statements).items()
    if isinstance(value, Executable) and isinstance(value, ClauseElement) and not isinstance(value, Table)
} | {"usage": statements.usage(BY), "usage of all": statements.usage(())}


def dialect(name: str, style: str) -> DefaultDialect:
    kind = make_url(f"{name}://").get_dialect()
    assert issubclass(kind, DefaultDialect)
    return kind(paramstyle=style)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(ALL))
def test_it_compiles_for_both(name: str) -> None:
    for kind, style in (("postgresql", "format"), ("sqlite", "qmark")):
        assert "'" not in str(ALL[name].compile(dialect=dialect(kind, style)))


@pytest.mark.parametrize(("kind", "style", "mark"), [("postgresql", "format", "%s"), ("sqlite", "qmark", "?")])
@pytest.mark.parametrize("rows", [1, 2, 64])
def test_the_insert_has_a_place_for_each_value_of_each_row(kind: str, style: str, mark: str, rows: int) -> None:
    text = statements.insert_text(dialect(kind, style), rows)
    assert text.count(mark) == rows * len(COLUMNS)
    assert "RETURNING" not in text
    columns = text[text.index("(") + 1 : text.index(")")].replace('"', "").split(", ")
    assert tuple(columns) == COLUMNS
