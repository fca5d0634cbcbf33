"""The budget's arithmetic: what is let pass, what is said, what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.budget import figures, functions
from tests.budget.plays import PLAYS
from tests.budget.remote import Cost, Sample, between

ALLOWED = {"whole chat": {"instructions": 10_000, "c_calls": 1_000}}


@pytest.mark.parametrize("instructions", [10_200, 10_000, 9_000])
def test_what_is_near_its_figure_passes(instructions: int) -> None:
    assert figures.wrong({"whole chat": Cost(instructions, 1_000)}, ALLOWED) == []


def test_what_is_over_is_said_with_how_much() -> None:
    (said,) = figures.wrong({"whole chat": Cost(10_500, 1_000)}, ALLOWED)
    assert said == "whole chat: 10,500 instructions, 5.0% over the budget of 10,000 (2% are let pass)"


def test_calls_of_c_have_a_budget_of_their_own() -> None:
    (said,) = figures.wrong({"whole chat": Cost(10_000, 1_021)}, ALLOWED)
    assert "1,021 C calls, 2.1% over" in said


def test_a_great_gain_is_to_be_written_down() -> None:
    (said,) = figures.wrong({"whole chat": Cost(8_900, 1_000)}, ALLOWED)
    assert "11.0% less than the budget" in said


def test_a_workload_without_a_figure_is_no_pass() -> None:
    said = figures.wrong({"whole chat": Cost(1, 1), "new": Cost(1, 1)}, {"new": {"instructions": 1}, "old": {}})
    assert len(said) == 4  # both counts of the first, the calls of the second, and the figure of nothing


def test_figures_are_written_beside_those_of_others(tmp_path: Path) -> None:
    file = tmp_path / "budget.json"
    figures.write("there", {"whole chat": Cost(1, 2)}, file)
    figures.write("here", {"whole chat": Cost(3, 4)}, file)
    assert figures.read("there", file) == {"whole chat": {"instructions": 1, "c_calls": 2}}
    assert figures.read("here", file) == {"whole chat": {"instructions": 3, "c_calls": 4}}
    assert figures.read("elsewhere", file) is None


def test_where_nothing_was_measured_the_way_out_is_said() -> None:
    assert "`make budget ARGS=--write`" in figures.none("CPython 4.0, plan9")


def test_the_file_has_a_figure_for_every_workload() -> None:
    found = figures.read("CPython 3.11, linux")
    assert found is not None, "where CI runs nothing may pass unseen"
    assert {workload: set(counts) for workload, counts in found.items()} == {play: set(Cost._fields) for play in PLAYS}


def test_a_sample_is_what_came_between_two_readings() -> None:
    sample = between({"a": [1, 1], "b": [5, 0]}, {"a": [3, 2], "b": [5, 0], "c": [7, 0]})
    assert sample.functions == {"a": [2, 1], "c": [7, 0]}
    assert sample.cost == Cost(9, 1)


def test_two_measurements_are_told_apart_by_function(tmp_path: Path) -> None:
    functions.save(tmp_path / "before.json", {"whole chat": Sample({"a": [2, 1], "b": [5, 0]})})
    before = functions.load(tmp_path / "before.json")["whole chat"]
    assert functions.changes(before.functions, {"b": [5, 0], "c": [9, 3]}).split() == ["+9", "+3", "c", "-2", "-1", "a"]
    assert functions.changes(before.functions, before.functions) == ""
