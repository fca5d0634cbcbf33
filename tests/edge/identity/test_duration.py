"""Durations as people type them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity.duration import seconds, spell


@pytest.mark.parametrize(
    ("text", "expected"),
    [("45s", 45), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), ("0", 0), ("0s", 0)],
)
def test_a_number_and_a_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "d", "-5d", "1.5h", "5D", "5 d", "05d", "٣d", "1234567d", "5d\n", "1h30m"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        seconds(text)


@given(st.text(max_size=10))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert seconds(text) >= 0


@pytest.mark.parametrize(
    ("span", "text"),
    [(0, "0s"), (-3, "0s"), (40, "40s"), (60, "1m"), (90, "90s"), (3600, "1h"), (5400, "90m"), (86_400 * 30, "30d")],
)
def test_spans_are_spelled_for_people(span: float, text: str) -> None:
    assert spell(span) == text
