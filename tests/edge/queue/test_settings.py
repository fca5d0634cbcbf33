"""Settings that make no sense are refused."""

from __future__ import annotations

import pytest

from edge.queue.settings import QueueLimits


@pytest.mark.parametrize("share", [0.0, -0.5, 1.1, float("nan")])
def test_a_share_is_above_0_and_at_most_1(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        QueueLimits(share=share)


@pytest.mark.parametrize("half_life", [0.0, -1.0, float("nan")])
def test_a_half_life_is_above_0(half_life: float) -> None:
    with pytest.raises(ValueError, match="half_life"):
        QueueLimits(half_life=half_life)


@pytest.mark.parametrize(
    "make",
    [
        lambda: QueueLimits(limit=-1),
        lambda: QueueLimits(wait=-1),
        lambda: QueueLimits(load_wait=-1),
        lambda: QueueLimits(passed_over=-1),
        lambda: QueueLimits(band_turns=0),
        lambda: QueueLimits(in_flight_per_caller=0),
        lambda: QueueLimits(queued_per_caller=-1),
    ],
)
def test_nothing_is_negative(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="must"):
        make()


@pytest.mark.parametrize(
    ("limit", "share", "places"), [(64, 0.5, 32), (1, 0.5, 1), (3, 0.5, 1), (0, 0.5, 1), (10, 1, 10)]
)
def test_a_key_may_hold_its_share_and_at_least_one_place(limit: int, share: float, places: int) -> None:
    assert QueueLimits(limit=limit, share=share).places == places
