"""Logical time, with a wall clock that is set and machines that sleep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.limits.clock import STEP, Clock


class Machine:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.wall = 1_790_000_000.0
        self.monotonic = 50.0
        self.clock = Clock(lambda: self.wall, lambda: self.monotonic)
        self.start = self.clock.now()

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def elapsed(self) -> float:
        return round(self.clock.now() - self.start, 3)


def test_begins_at_the_wall_clock() -> None:
    assert Machine().start == 1_790_000_000.0
    assert Machine().clock.ms() == 1_790_000_000_000


def test_a_day_forward_is_a_day() -> None:
    machine = Machine()
    machine.wall += 86_400
    assert machine.elapsed() == 86_400
    machine.passes(5)
    assert machine.elapsed() == 86_405


def test_an_hour_back_is_nothing_and_time_goes_on() -> None:
    machine = Machine()
    machine.wall -= 3_600
    assert machine.elapsed() == 0
    machine.passes(5)
    assert machine.elapsed() == 5


def test_forward_and_back_again_never_goes_back() -> None:
    machine = Machine()
    machine.wall += 86_400
    assert machine.elapsed() == 86_400
    machine.wall -= 86_400
    machine.passes(1)
    assert machine.elapsed() == 86_401


def test_sleep_counts_though_the_monotonic_clock_stood_still() -> None:
    machine = Machine()
    machine.wall += 1_800
    machine.monotonic += 0.5
    assert machine.elapsed() == 1_800


def test_a_clock_that_is_slewed_does_not_gain_time_with_every_reading() -> None:
    machine = Machine()
    for i in range(10_000):
        machine.passes(0.001)
        machine.wall += 0.0005 if i % 2 else -0.0005
        machine.clock.now()
    assert machine.elapsed() == round(machine.monotonic - 50.0, 3)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e5, 1e5)), max_size=50))
def test_never_goes_back_and_never_falls_behind_either_clock(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    last = machine.start
    for passed, wall in steps:
        machine.monotonic += passed
        machine.wall += wall
        now = machine.clock.now()
        assert now >= last
        assert now >= machine.start + machine.monotonic - 50.0 - 1e-3
        assert now >= machine.wall - STEP - 1e-3
        last = now
