"""Settings that would keep nothing, or everything, are refused."""

from __future__ import annotations

import math

import pytest

from observability.decisions.settings import DecisionLogSettings


@pytest.mark.parametrize(
    "values",
    [
        {"days": 0},
        {"days": -1},
        {"days": math.inf},
        {"days": math.nan},
        {"segment_bytes": 1024},
        {"segment_bytes": 2 * 1024**3},
        {"max_bytes": 8 * 1024**2},
        {"durable_seconds": 0},
        {"durable_seconds": math.inf},
    ],
)
def test_what_cannot_be_kept_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        DecisionLogSettings(**values)  # type: ignore[arg-type] # one field, of either type


def test_a_file_is_closed_often_enough_for_the_days_to_be_kept() -> None:
    assert DecisionLogSettings().span == 86_400
    assert DecisionLogSettings(days=0.1).span == pytest.approx(864)
