"""Usage, and that a roll-up changes none of its answers."""

from __future__ import annotations

import tempfile
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from edge.ledger import statements as sql
from edge.ledger.entry import Hold, Settled
from edge.ledger.recovery import Recovery
from edge.ledger.rollup import roll_up
from edge.ledger.rows import DAY, HOLD, PROGRESS, SETTLE, hold_row, progress_row, settle_row, void_row
from edge.ledger.usage import BY, Span, Used, day_text, span_of, used
from edge.store.database import Database
from edge.store.schema import LEDGER, USAGE_DAILY
from tests.edge.ledger.fixtures import NOW, a_hold, journal_of, open_at, progress, settled

TODAY = int(NOW // DAY)
EVER = Span(0, TODAY + 9)

REQUESTS = st.lists(
    st.builds(
        lambda day, second, key, owner, groups, model, engine, tokens, reason, rate_class: (
            Hold(
                *("r", (TODAY - day) * DAY + second, key, owner, groups, "local", model, engine, "chat", False, 1, 1),
                rate_class,
            ),
            Settled("r", NOW, tokens, tokens * 2, gpu_ms=tokens * 3, reason=reason),
        ),
        st.integers(-1, 5),
        st.integers(0, DAY - 1),
        st.sampled_from(["k1", "k2"]),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from([(), ("a", "b"), ("b",)]),
        st.sampled_from(["m1", "m2"]),
        st.sampled_from(["e1", "e2"]),
        st.integers(0, 1000),
        st.sampled_from(["", "engine_broke", "recovered"]),
        st.sampled_from(["", "batch"]),
    ),
    max_size=30,
)


def fill(database: Database, requests: list[tuple[Hold, Settled]]) -> None:
    rows = []
    for hold, end in requests:
        held = hold_row(hold, "me")
        rows += [held, progress_row(progress(), "me"), settle_row(held, end)]
    with database.writing() as connection:
        connection.execute(delete(LEDGER))
        connection.execute(delete(USAGE_DAILY))
        if rows:
            connection.execute(insert(LEDGER), [row._asdict() for row in rows])


@pytest.fixture(scope="module")
def database() -> Database:
    return open_at(Path(tempfile.mkdtemp()))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS, st.integers(0, 6), st.integers(1, 7), st.lists(st.integers(-6, 2), max_size=2))
def test_the_answers_are_the_same_before_and_after_a_roll_up(
    database: Database,
    requests: list[tuple[Hold, Settled]],
    keep: int,
    most: int,
    days: list[int],
) -> None:
    """Also half-way through it, and for any span of days."""
    fill(database, requests)
    first, end = (TODAY + day for day in sorted([*days, -6, 2][:2]))
    questions = [
        (by, span) for size in (0, 1, 2, 5) for by in combinations(BY, size) for span in (EVER, Span(first, end))
    ]
    before = [used(database, by, span) for by, span in questions]
    for step in range(100):
        if not roll_up(database, keep * DAY, NOW, most=most):
            break
        if step < 3:
            assert [used(database, by, span) for by, span in questions] == before
    else:
        raise AssertionError("the roll-up never ends")
    assert [used(database, by, span) for by, span in questions] == before
    left = journal_of(database)
    assert all(row.day >= TODAY - keep for row in left[:-1] if row.kind == SETTLE)  # the newest row stays
    assert all(row.kind == SETTLE for row in left[:1])  # and of holds what stands behind a settlement that is left
    whole = used(database, (), EVER)
    assert [line.requests for line in whole] == ([len(requests)] if requests else [])


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS, st.integers(0, 6))
def test_nothing_old_but_the_newest_row_outlasts_a_roll_up(
    database: Database, requests: list[tuple[Hold, Settled]], keep: int
) -> None:
    """With days in order, as they come unless a clock steps back."""
    fill(database, sorted(requests, key=lambda request: request[0].at))
    while roll_up(database, keep * DAY, NOW):
        pass
    assert all(row.day >= TODAY - keep for row in journal_of(database)[:-1])


def test_usage_sums_up_by_what_is_asked(database: Database) -> None:
    asked = [
        (a_hold(key="k1", owner="ann"), settled(output=5)),
        (a_hold(key="k1", owner="ann"), settled(output=7, reason="engine_broke")),
        (a_hold(key="k2", owner="bob", at=NOW - DAY), settled(output=1)),
    ]
    fill(database, asked)
    assert used(database, ("owner",), EVER) == [Used(("ann",), 2, 1, 20, 12, 3000), Used(("bob",), 1, 0, 10, 1, 1500)]
    assert [line.of for line in used(database, ("day", "key"), EVER)] == [
        (day_text(TODAY - 1), "k2"),
        (day_text(TODAY), "k1"),
    ]
    assert used(database, (), Span(TODAY, TODAY + 1))[0].total == 32
    assert used(database, ("key",), Span(0, 1)) == []


def test_void_holds_are_not_usage_and_leave_no_daily_row(database: Database) -> None:
    fill(database, [])
    with database.writing() as connection:
        connection.execute(insert(LEDGER), [void_row(hold_row(a_hold(), "me"), NOW)._asdict()])
    assert used(database, ("key",), EVER) == []
    while roll_up(database, 0, NOW + 9 * DAY):
        pass
    with database.reading() as connection:
        assert connection.execute(USAGE_DAILY.select()).all() == []


def test_a_settlement_that_comes_after_its_day_was_rolled_up_is_added(database: Database) -> None:
    for _ in range(2):
        with database.writing() as connection:
            row = settle_row(hold_row(a_hold(at=NOW - 9 * DAY), "me"), settled())
            connection.execute(insert(LEDGER), [row._asdict()])
        while roll_up(database, DAY, NOW):
            pass
    (line,) = used(database, ("key", "day"), Span(TODAY - 9, TODAY - 8))
    assert (line.requests, line.output) == (2, 100)
    with database.reading() as connection:
        assert len(connection.execute(USAGE_DAILY.select()).all()) == 1


def test_what_an_instance_may_have_open_outlasts_retention(database: Database) -> None:
    """With its settlement rolled up first, a recovery charged the hold of a gateway that was off for months again."""
    fill(database, [])
    held = hold_row(a_hold(at=NOW - 99 * DAY), "me")
    rows = [held, progress_row(progress(), "me"), settle_row(held, settled())]
    with database.writing() as connection:
        connection.execute(insert(LEDGER), [row._asdict() for row in rows])
        first = min(connection.execute(select(LEDGER.c.seq)).scalars())
        connection.execute(sql.REGISTER, {"id": "me", "started_at": 0.0, "beat": 1, "floor": first - 1})
    assert not roll_up(database, DAY, NOW + 9 * DAY)
    assert [row.kind for row in journal_of(database)] == [HOLD, PROGRESS, SETTLE]
    assert Recovery(database).run() == 0
    while roll_up(database, DAY, NOW + 9 * DAY):
        pass
    assert [row.kind for row in journal_of(database)] == [SETTLE]  # the newest row: its number is not to be given again
    assert [line.requests for line in used(database, (), EVER)] == [1]


@pytest.mark.parametrize(
    ("since", "until", "first", "end"),
    [
        ("7d", None, TODAY - 6, TODAY + 1),
        ("1d", None, TODAY, TODAY + 1),
        ("12h", None, TODAY, TODAY + 1),
        ("0", None, TODAY, TODAY + 1),
        ("36h", None, TODAY - 1, TODAY + 1),
        ("1970-01-02", "1970-01-03", 1, 3),
        ("2w", "2d", TODAY - 13, TODAY),
    ],
)
def test_spans_are_whole_days(since: str, until: str | None, first: int, end: int) -> None:
    assert span_of(since, until, NOW) == Span(first, end)


@pytest.mark.parametrize("since", ["", "yesterday", "2026-13-01", "7", "-7d", "2100-01-01"])
def test_a_time_that_is_none_says_what_to_write(since: str) -> None:
    with pytest.raises(ValueError, match=r"write a day as|must not be after"):
        span_of(since, None, NOW)
