"""How much at once, how often: a burst is free, what comes faster waits, what would wait too long is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.admin.pacing import Pace, Turns
from policies.errors import Refusal
from policies.reasons import Reason


def test_a_burst_is_free_and_then_each_waits_its_time() -> None:
    pace = Pace(burst=3, rate=2.0)
    assert [pace.wait("a", 10.0, 5.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert pace.wait("b", 10.0, 5.0) == 0.0


def test_what_would_wait_too_long_is_refused_and_costs_nothing() -> None:
    pace = Pace(burst=1, rate=1.0)
    assert pace.wait("a", 0.0, 1.0) == 0.0
    assert pace.wait("a", 0.0, 1.0) == 1.0
    for _ in range(3):
        with pytest.raises(Refusal) as caught:
            pace.wait("a", 0.0, 1.0)
        assert caught.value.reason is Reason.CONCURRENCY_EXCEEDED
        assert caught.value.retry_after == 2.0
    assert pace.wait("a", 1.0, 1.0) == 1.0


def test_the_table_is_bounded() -> None:
    pace = Pace(burst=1, rate=1.0, clients=2)
    for client in ("a", "b", "c"):
        assert pace.wait(client, 0.0, 9.0) == 0.0
    assert pace.wait("c", 0.0, 9.0) == 1.0
    assert pace.wait("a", 0.0, 9.0) == 0.0  # forgotten


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5), st.floats(0.5, 4))
def test_no_span_of_time_sees_more_than_burst_and_rate(gaps: list[float], burst: int, rate: float) -> None:
    """Invariant: of the instants at which downloads go ahead, any span of s seconds holds at most burst + rate*s."""
    pace, now, starts = Pace(burst=burst, rate=rate), 0.0, list[float]()
    for gap in gaps:
        now += gap
        starts.append(now + pace.wait("a", now, float("inf")))
    for first, begin in enumerate(starts):
        for count, end in enumerate(starts[first:], 1):
            assert count <= burst + rate * (end - begin) + 1e-6


def test_turns_are_given_back_also_after_a_failure() -> None:
    turns = Turns(1)
    with turns.take():
        assert turns.taken == 1
        with pytest.raises(Refusal), turns.take():
            pass
        assert turns.taken == 1
    with pytest.raises(ZeroDivisionError), turns.take():
        raise ZeroDivisionError
    assert turns.taken == 0
