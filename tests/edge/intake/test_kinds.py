"""Values that hold values."""

from __future__ import annotations

import re

import pytest

from edge.intake.fields import Field, Kind, Notes, Record
from edge.intake.kinds import Array, Map, Tagged, Union
from edge.intake.leaves import Choice, Flag, Int, Text
from policies.json import JSON
from policies.reasons import Reason
from tests.edge.intake.refusals import refused

TOKENS = Array(Int(0, 9), 1, 3)
PROMPT = Union(Text(), Array(Text(), 1, 3), TOKENS, Array(TOKENS, 1, 3), hint="It must be a prompt.")
BIAS = Map(re.compile("[0-9]+"), Int(-1, 1), 2, "It must be a map.")
TAGGED = Tagged(
    "type",
    {
        "x": Record(Field("type", Choice("x"), required=True), Field("a", Flag())),
        "y": Record(Field("type", Choice("y"), required=True), Field("b", Flag())),
    },
)


def read(kind: Kind, value: JSON) -> tuple[JSON, tuple[str, ...]]:
    notes = Notes(strict=False)
    return kind.read(value, (None, "p"), notes), notes.ignored


@pytest.mark.parametrize("value", ["", "a", ["a"], ["a", "b", "c"], [1], [1, 2, 3], [[1], [2, 3]]])
def test_a_union_takes_each_of_its_kinds(value: JSON) -> None:
    assert read(PROMPT, value) == (value, ())


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (None, "p"),
        (1, "p"),
        (True, "p"),
        ({}, "p"),
        ([], "p"),
        ([True], "p"),
        ([None], "p"),
        ([1.0], "p"),
        ([{}], "p"),
        (["a", 1], "p[]"),
        ([1, "a"], "p[]"),
        ([1, True], "p[]"),
        ([1, [1]], "p[]"),
        ([10], "p[]"),
        ([-1], "p[]"),
        ([1, 2, 3, 4], "p"),
        ([[1], 1], "p[]"),
        ([[]], "p[]"),
        ([[1], ["a"]], "p[][]"),
        ([["a"]], "p[][]"),
    ],
)
def test_a_union_takes_no_mixture(value: JSON, place: str) -> None:
    with refused(Reason.INVALID_PARAMETER, place):
        read(PROMPT, value)


def test_a_map_takes_the_callers_keys_but_never_shows_them() -> None:
    assert read(BIAS, {"1": 1, "22": -1}) == ({"1": 1, "22": -1}, ())
    wrong: list[JSON] = [{"a": 1}, {"1\n": 1}, {"": 1}, {"1": 2}, {"1": None}, {"1": 1, "2": 1, "3": 1}, [], "x"]
    for value in wrong:
        with refused(Reason.INVALID_PARAMETER, "p"):
            read(BIAS, value)


def test_a_tag_chooses_the_record() -> None:
    assert read(TAGGED, {"type": "x", "a": True, "b": True}) == ({"type": "x", "a": True}, ("p.b",))
    assert read(TAGGED, {"b": True, "type": "y"}) == ({"type": "y", "b": True}, ())


@pytest.mark.parametrize(
    "value", [{}, {"type": "z"}, {"type": None}, {"type": ["x"]}, {"type": {}}, {"Type": "x"}, [], "x"]
)
def test_an_unknown_tag_is_refused(value: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(TAGGED, value)


def test_a_second_spelling_of_the_tag_is_refused() -> None:
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(TAGGED, {"type": "x", "TYPE": "y"})


def test_a_list_leaves_out_what_it_skips_and_says_so_once() -> None:
    some = Array(Int(0, 9), 0, 4, skip=lambda item: item == "skip")
    assert read(some, [1, "skip", 2, "skip"]) == ([1, 2], ("p[]",))
    assert read(some, ["skip"]) == ([], ("p[]",))
    with refused(Reason.INVALID_PARAMETER, "p[]"):
        read(some, [1, "other"])
    with refused(Reason.INVALID_PARAMETER, "p"):
        read(some, ["skip"] * 5)


def test_an_object_without_its_tag_is_the_default_if_there_is_one() -> None:
    cases = {"a": Record(Field("type", Choice("a")), Field("x", Flag())), "b": Record(Field("type", Choice("b")))}
    assert Tagged("type", cases, default="a").read({"x": True}, None, Notes(strict=True)) == {"x": True}
    with refused(Reason.INVALID_PARAMETER, None):
        Tagged("type", cases).read({"x": True}, None, Notes(strict=True))
