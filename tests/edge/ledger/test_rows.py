"""Rows: the columns' order, values no database takes, and which holds are open."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.ledger.entry import VOID, Progress, Settled
from edge.ledger.rows import (
    COLUMNS,
    SETTLE,
    Row,
    groups_text,
    hold_row,
    progress_row,
    recovered_row,
    set_off,
    settle_row,
    still_open,
    void_row,
)
from edge.store.schema import LEDGER
from tests.edge.ledger.fixtures import NOW, a_hold, progress, settled


def test_a_row_is_in_the_order_of_the_tables_columns() -> None:
    """The one statement of the request path names no columns: it is compiled in the table's order."""
    assert tuple(column.name for column in LEDGER.columns) == ("seq", *COLUMNS)


@pytest.mark.parametrize(
    ("held", "found", "written"), [("tiny", "", "tiny"), ("tiny", "x", "tiny"), ("", "new", "new")]
)
def test_a_model_that_came_later_is_named_by_the_end(held: str, found: str, written: str) -> None:
    hold = hold_row(a_hold()._replace(model=held), "me")
    assert (hold.model, settle_row(hold, settled()._replace(model=found)).model) == (held, written)


def test_a_settlement_repeats_the_hold_and_counts_on_its_day() -> None:
    row = settle_row(hold_row(a_hold(at=NOW), "me"), settled(at=NOW + 86_400))
    assert (row.kind, row.at, row.day, row.ended_at) == (SETTLE, NOW, int(NOW // 86_400), NOW + 86_400)
    assert (row.key, row.owner, row.groups, row.model) == ("k1", "ann", '["dev"]', "ai/llama")
    assert (row.requests, row.errors, row.input, row.output, row.gpu_ms) == (1, 0, 10, 50, 1500)


def test_only_real_failures_are_errors() -> None:
    hold = hold_row(a_hold(), "me")
    assert [settle_row(hold, settled(reason=reason)).errors for reason in ("", "client_gone", "engine_broke")] == [
        0,
        0,
        1,
    ]


def test_a_void_hold_counts_for_nothing() -> None:
    row = void_row(hold_row(a_hold(), "me"), NOW)
    assert (row.reason, row.requests, row.errors, row.input, row.output) == (VOID, 0, 0, 0, 0)


def test_a_request_that_was_refused_after_its_hold_is_none() -> None:
    row = settle_row(hold_row(a_hold(), "me"), settled(reason=VOID))
    assert (row.requests, row.errors, row.input, row.output, row.gpu_ms) == (0, 0, 0, 0, 0)


def test_a_settlement_repeats_the_class() -> None:
    assert settle_row(hold_row(a_hold(rate_class="batch"), "me"), settled()).rate_class == "batch"


def test_a_recovery_charges_the_engines_time_up_to_the_last_progress() -> None:
    hold = hold_row(a_hold(at=NOW), "me")
    last = progress_row(Progress("r1", NOW + 600.25, 10, 5000), "me")
    assert recovered_row(hold, last, NOW + 900).gpu_ms == 600_250
    assert recovered_row(hold, last._replace(at=NOW - 5), NOW + 900).gpu_ms == 0  # the clock was set back
    assert recovered_row(hold, None, NOW + 900).gpu_ms == 0


def test_a_settlement_after_a_recovery_brings_the_sum_to_the_truth() -> None:
    hold = hold_row(a_hold(), "me")
    wrong = recovered_row(hold, progress_row(progress(output=20), "me"), NOW)
    right = set_off(settle_row(hold, settled(output=50)), wrong)
    assert (wrong.requests, wrong.errors) == (1, 1)
    for name in ("requests", "errors", "input", "output", "gpu_ms"):
        assert getattr(wrong, name) + getattr(right, name) == getattr(settle_row(hold, settled(output=50)), name)


def test_without_progress_a_recovery_charges_the_input() -> None:
    row = recovered_row(hold_row(a_hold(output=100), "me"), None, NOW)
    assert (row.input, row.output, row.reason) == (10, 0, "recovered")


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\r\nb"])
def test_text_that_a_database_refuses_is_replaced(text: str) -> None:
    row = hold_row(a_hold(text, key=text), "me")
    for value in (row.request_id, row.key or ""):
        assert "\0" not in value
        value.encode()


@given(st.integers())
def test_counts_fit_and_are_never_negative(number: int) -> None:
    hold = hold_row(a_hold(output=number), "me")
    row = settle_row(hold, Settled("r1", NOW, number, number, cached=number, gpu_ms=number))
    assert all(0 <= value < 1 << 62 for value in (hold.output, row.input, row.output, row.cached or 0, row.gpu_ms))


@pytest.mark.parametrize("at", [math.inf, math.nan])
def test_an_instant_that_is_none_is_an_error(at: float) -> None:
    with pytest.raises((OverflowError, ValueError)):
        hold_row(a_hold(at=at), "me")


def test_equal_sets_of_groups_are_equal_texts() -> None:
    assert groups_text(("b", "a", "b")) == groups_text(("a", "b")) == '["a", "b"]'


KINDS = st.lists(st.tuples(st.sampled_from("hps"), st.integers(0, 4), st.integers(0, 99)), max_size=40)


@given(KINDS)
def test_open_is_what_was_held_and_not_settled_since(steps: list[tuple[str, int, int]]) -> None:
    rows: list[Row] = []
    expected: dict[str, int | None] = {}
    for kind, number, amount in steps:
        name = f"r{number}"
        if kind == "h" and name not in expected:
            rows.append(hold_row(a_hold(name), "me"))
            expected[name] = None
        elif kind == "p":
            rows.append(progress_row(progress(name, amount), "me"))
            if name in expected:
                expected[name] = amount
        elif kind == "s":
            rows.append(settle_row(hold_row(a_hold(name), "me"), settled(name)))
            expected.pop(name, None)
    found = {hold.request_id: None if last is None else last.output for hold, last in still_open(rows)}
    assert found == expected
