"""retry-after follows the rate at which turns are given back."""

from __future__ import annotations

import pytest

from edge.queue.drain import Drain


def running(gap: float, turns: int = 50) -> Drain:
    """A line that has been moving at one turn per `gap` seconds until second 1000."""
    drain = Drain()
    drain.wanted(1000 - gap * turns)
    for number in range(1, turns + 1):
        drain.gave(1000 - gap * (turns - number), wanted=True)
    return drain


@pytest.mark.parametrize(
    ("gap", "turns", "seconds"), [(2.0, 5, 10.0), (0.01, 5, 1.0), (2.0, 300, 60.0), (30.0, 1, 30.0)]
)
def test_so_many_turns_at_that_rate_within_bounds(gap: float, turns: int, seconds: float) -> None:
    assert running(gap).seconds(1000, turns) == pytest.approx(seconds)


def test_an_idle_hour_says_nothing_about_the_rate() -> None:
    drain = running(2.0)
    drain.gave(1002, wanted=False)
    drain.wanted(5000)
    assert drain.seconds(5000, 5) == pytest.approx(10)


def test_a_line_that_emptied_because_all_left_does_not_count_on() -> None:
    drain = running(2.0)
    drain.left()
    assert drain.seconds(5000, 5) == pytest.approx(10)
    drain.gave(5000, wanted=False)
    assert drain.seconds(5000, 5) == pytest.approx(10)


def test_an_engine_that_hangs_has_no_rate() -> None:
    assert running(2.0).seconds(1020, 2) == pytest.approx(40)


def test_before_the_first_turn_there_is_a_guess_and_evidence_beats_it() -> None:
    drain = Drain()
    assert drain.seconds(0, 4) == pytest.approx(4)
    drain.wanted(0)
    assert drain.seconds(10, 4) == pytest.approx(40)
