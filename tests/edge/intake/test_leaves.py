"""Single values: exact types, a range on every number."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.intake.fields import Notes
from edge.intake.leaves import Choice, Flag, Free, Int, Leaf, Never, Number, Text
from edge.intake.strict_json import INT_HIGH, INT_LOW
from policies.json import JSON
from policies.reasons import Reason
from tests.edge.intake.fuzzing import CALM
from tests.edge.intake.refusals import refused

GOOD: list[tuple[Leaf, JSON]] = [
    (Flag(), True),
    (Flag(), False),
    (Int(1, 16), 1),
    (Int(1, 16), 16),
    (Int(INT_LOW, INT_HIGH), INT_LOW),
    (Number(0, 5), 0),
    (Number(0, 5), 5.0),
    (Number(-2, 2), -2),
    (Text(), ""),
    (Text(), "\0"),
    (Text(1, 3), "abc"),
    (Text(0, 3), "äöü"),
    (Text(form=re.compile("[a-z]*")), "abc"),
    (Choice("a", "b"), "b"),
    (Free(size=100, depth=3, nodes=10, schema=True), {"a": [{}]}),
    (Free(size=100, depth=3, nodes=10, schema=False), {"$ref": "http://169.254.169.254/"}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"$ref": "#/$defs/a", "$schema": "https://json-schema.org/"}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"description": 'say "$ref":"http://x"'}),
]
BAD: list[tuple[Leaf, JSON]] = [
    (Flag(), 1),
    (Flag(), "true"),
    (Flag(), None),
    (Int(1, 16), 0),
    (Int(1, 16), 17),
    (Int(1, 16), -1),
    (Int(1, 16), True),
    (Int(1, 16), 5.0),
    (Int(1, 16), 1e1),
    (Int(1, 16), "5"),
    (Int(1, 16), [5]),
    (Int(1, 16), 10**9),
    (Int(INT_LOW, INT_HIGH), 1e18),
    (Number(0, 5), 5.1),
    (Number(0, 5), -0.1),
    (Number(0, 5), True),
    (Number(0, 5), "1"),
    (Text(), 1),
    (Text(), None),
    (Text(1, 3), ""),
    (Text(1, 3), "abcd"),
    (Text(form=re.compile("[a-z]*")), "abc\n"),
    (Choice("a", "b"), "A"),
    (Choice("a", "b"), 1),
    (Choice("a", "b"), ["a"]),
    (Free(size=100, depth=3, nodes=10, schema=True), []),
    (Free(size=100, depth=3, nodes=10, schema=False), {"a": "x" * 100}),
    (Free(size=100, depth=3, nodes=10, schema=False), {"a": [[[]]]}),
    (Free(size=100, depth=3, nodes=10, schema=False), {"a": [1, 2, 3, 4, 5, 6, 7, 8]}),
    (Free(size=100, depth=3, nodes=10, schema=True), "{}"),
    (Free(size=100, depth=3, nodes=10, schema=True), {"a": "x" * 100}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"a": [[[]]]}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"a": [1, 2, 3, 4, 5, 6, 7, 8]}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"$ref": "http://169.254.169.254/"}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"a": {"$ref": "file:///etc/passwd"}}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"$ref": "//host/x"}),
    (Free(size=100, depth=3, nodes=10, schema=True), {"$dynamicRef": "\\\\host\\x"}),
]


@pytest.mark.parametrize(("leaf", "value"), GOOD)
def test_what_fits_goes_on_as_it_is(leaf: Leaf, value: JSON) -> None:
    assert leaf.read(value, None, Notes(strict=False)) is value


@pytest.mark.parametrize(("leaf", "value"), BAD)
def test_what_does_not_fit_is_refused_with_the_place_and_a_hint(leaf: Leaf, value: JSON) -> None:
    with refused(Reason.INVALID_PARAMETER, "a.b"):
        leaf.read(value, ((None, "a"), "b"), Notes(strict=False))
    assert leaf.hint.startswith("It must be ")


@CALM
@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(-300, 300))
def test_a_range_holds_its_ends_and_nothing_beyond(one: int, other: int, value: int) -> None:
    low, high = sorted((one, other))
    assert Int(low, high).fits(value) == Number(low, high).fits(value) == (low <= value <= high)


def test_hints_say_the_range() -> None:
    assert Int(1, 16).hint == "It must be an integer from 1 to 16."
    assert Int(INT_LOW, INT_HIGH).hint == "It must be an integer of 64 bits."
    assert Number(0.01, 10).hint == "It must be a number from 0.01 to 10."
    assert Text(1, 3).hint == "It must be a string of 1 to 3 characters."


def test_what_is_not_offered_is_refused_but_for_what_comes_to_the_same() -> None:
    never, all_but = Never("Not here."), Never("Not here.", but=False)
    values: list[JSON] = ["", "x", 0, 1.5, True, False, [], {}]
    assert [value for value in values if never.fits(value)] == []
    assert [value for value in values if all_but.fits(value)] == [False]
