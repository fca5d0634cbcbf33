"""How far estimates were off, told by the journal: only of what engines counted."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from edge.ledger.entry import Hold, Settled
from edge.ledger.estimates import Errors, errors, summary
from edge.ledger.rows import DAY, Row, hold_row, recovered_row, set_off, settle_row, void_row
from edge.ledger.usage import Span
from edge.store.database import Database
from edge.store.schema import LEDGER
from tests.edge.ledger.fixtures import NOW, a_hold, open_at, settled

TODAY = int(NOW // DAY)
EVER = Span(0, TODAY + 9)


def write(database: Database, *rows: Row) -> None:
    with database.writing() as connection:
        connection.execute(insert(LEDGER), [row._asdict() for row in rows])


def pair(number: int, estimated: int, counted: int, *, model: str = "m", at: float = NOW) -> tuple[Hold, Settled]:
    hold = a_hold(f"r{number}", at)._replace(input=estimated, model=model)
    return hold, settled(f"r{number}", at=at)._replace(input=counted)


def rows(hold: Hold, end: Settled) -> list[Row]:
    held = hold_row(hold, "me")
    return [held, settle_row(held, end)]


def test_errors_are_by_model_in_percent_and_signed_where_it_matters(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    pairs = [pair(1, 150, 100), pair(2, 90, 100), pair(3, 30, 30, model="exact"), pair(4, 50, 200, model="low")]
    write(database, *(row for each in pairs for row in rows(*each)))
    assert errors(database, EVER) == [
        Errors("exact", 1, 0.0, 0.0, 0.0),
        Errors("low", 1, -75.0, 75.0, 75.0),
        Errors("m", 2, 20.0, 30.0, 50.0),
    ]


@pytest.mark.parametrize("source", ["engine", "timings", "counted"])
def test_every_count_of_an_engine_is_one(tmp_path: Path, source: str) -> None:
    database = open_at(tmp_path)
    hold, end = pair(1, 12, 10)
    write(database, *rows(hold, end._replace(source=source)))
    assert [line.requests for line in errors(database, EVER)] == [1]


@pytest.mark.parametrize("source", ["metered", "chunks", "none", "progress"])
def test_what_no_engine_counted_says_nothing_of_estimates(tmp_path: Path, source: str) -> None:
    database = open_at(tmp_path)
    hold, end = pair(1, 12, 10)
    write(database, *rows(hold, end._replace(source=source)))
    assert errors(database, EVER) == []


def test_void_recovered_open_and_empty_requests_are_left_out(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    void, recovered, corrected, unsettled, empty = (hold_row(pair(n, 12, 10)[0], "me") for n in range(5))
    early = recovered_row(corrected, None, NOW)
    write(
        database,
        *(void, void_row(void, NOW)),
        *(recovered, recovered_row(recovered, None, NOW)),
        *(corrected, early, set_off(settle_row(corrected, pair(2, 12, 10)[1]), early)),
        unsettled,
        *(empty, settle_row(empty, pair(4, 12, 0)[1])),
    )
    assert errors(database, EVER) == []


def test_only_the_days_asked_for(tmp_path: Path) -> None:
    database = open_at(tmp_path)
    write(database, *rows(*pair(1, 12, 10)), *rows(*pair(2, 12, 10, at=NOW - 3 * DAY)))
    assert [line.requests for line in errors(database, Span(TODAY, TODAY + 1))] == [1]
    assert [line.requests for line in errors(database, EVER)] == [2]


@given(st.lists(st.floats(-100, 1e6), min_size=1, max_size=60))
def test_nineteen_of_twenty_are_no_further_off_than_it_says(found: list[float]) -> None:
    line = summary("m", array("d", found))
    assert sum(abs(each) <= line.p95_absolute for each in found) >= 0.95 * len(found)
    assert sum(abs(each) < line.p95_absolute for each in found) < 0.95 * len(found)
    assert abs(line.mean) <= line.mean_absolute * (1 + 1e-9)
    assert line.requests == len(found)
