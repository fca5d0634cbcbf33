"""What the windows promise, over random histories; and single cases that show where the edges are."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.limits.contract import DAY, HOUR, LARGEST, MINUTE, MONTH, Actual, Ask, Bound, Held, Meter, Over, Seats, Window
from edge.limits.ring import Ring
from edge.limits.windows import Windows
from tests.edge.limits import asks
from tests.edge.limits.asks import SHORT, START, Extending, Holding, Operation, Settling, spend

UNITS = {Meter.REQUESTS: 0, Meter.INPUT: 1, Meter.OUTPUT: 2, Meter.TOKENS: 3, Meter.GPU_MS: 4}


class Told:
    """Windows, and by plain lists what was granted and when."""

    def __init__(self) -> None:
        self.windows = Windows()
        self.now = START
        self.held: list[Held] = []
        self.grants: list[tuple[int, str, Meter, int]] = []
        self._ids = count()

    def step(self, pause: int, operation: Operation) -> Held | Over | int | None:
        self.now = max(self.now, self.now + pause)
        match operation:
            case Holding(ask):
                answer = self.windows.hold(ask, str(next(self._ids)), self.now)
                if isinstance(answer, Held):
                    self.held.append(answer)
                    self._note(ask, ask.requests, ask.input, answer.granted, ask.gpu_ms)
                return answer
            case Extending(which, tokens) if self.held:
                held = self.held[which % len(self.held)]
                granted = self.windows.extend(held, tokens, self.now)
                self._note(held.ask, 0, 0, granted, 0)
                return granted
            case Settling(which, actual) if self.held:
                self.windows.settle(self.held[which % len(self.held)], actual, self.now)
        return None

    def _note(self, ask: Ask, requests: int, given_in: int, out: int, gpu_ms: int) -> None:
        amounts = (requests, given_in, out, given_in + out, gpu_ms)
        for subject, meter in {(bound.subject, bound.meter) for bound in ask.bounds}:
            self.grants.append((self.now, subject, meter, amounts[UNITS[meter]]))


small = st.integers(0, 25)
short = st.builds(spend, st.integers(1, 60), st.just(SHORT), st.sampled_from(list(Meter)))
pauses = st.sampled_from([0, 1, 150, 200, 333, 800, 1_000, 1_001, 2_500])


def wanting(bound: Bound) -> st.SearchStrategy[Operation]:
    """Holds and extensions: what is over-used is charged beyond the bound, on purpose."""
    ask = st.builds(
        lambda requests, given_in, out, gpu: Ask((bound,), requests, given_in, out, min(out, 2), gpu),
        *(st.integers(0, 2), small, st.integers(0, 100), small),
    )
    return st.one_of(st.builds(Holding, ask), st.builds(Extending, st.integers(0, 9), st.integers(0, 30)))


histories = short.flatmap(lambda bound: st.lists(st.tuples(pauses, wanting(bound)), min_size=5, max_size=40))


@given(history=histories)
@settings(max_examples=200, deadline=None)
def test_no_interval_of_a_windows_length_is_granted_more_than_its_bound(history: list[tuple[int, Operation]]) -> None:
    told = Told()
    for pause, operation in history:
        told.step(pause, operation)
    for held in told.held:
        (bound,) = held.ask.bounds
        width = bound.window.seconds * 1000
        for end, *_ in told.grants:
            assert sum(amount for at, *_, amount in told.grants if end - width <= at <= end) <= bound.most


@given(history=asks.histories)
@settings(max_examples=150, deadline=None)
def test_counts_are_sums_of_buckets_that_are_never_negative(history: list[tuple[int, Operation]]) -> None:
    told = Told()
    for pause, operation in history:
        told.step(pause, operation)
        for ring in told.windows._rings.values():
            assert ring.total == sum(ring.buckets.values())
            assert min(ring.buckets.values(), default=1) > 0
            assert list(ring.buckets) == sorted(ring.buckets)


@given(history=asks.histories, ask=asks.asks(), more=st.lists(asks.amounts, max_size=4))
@settings(max_examples=150, deadline=None)
def test_what_is_settled_to_nothing_leaves_everything_as_it_was(
    history: list[tuple[int, Operation]], ask: Ask, more: list[int]
) -> None:
    told = Told()
    for pause, operation in history:
        told.step(pause, operation)
    before = told.windows.levels(ask.bounds, told.now)
    if any(level.used > LARGEST // 10 for level in before) or max(ask.input, ask.output, ask.gpu_ms) > LARGEST // 10:
        return  # a bucket that is full to the brim forgets what it could not take
    held = told.windows.hold(ask, "it", told.now)
    if isinstance(held, Over):
        assert told.windows.levels(ask.bounds, told.now) == before
        return
    for tokens in more:
        told.windows.extend(held, min(tokens, 1_000), told.now)
    told.windows.settle(held, Actual(requests=0), told.now)
    assert told.windows.levels(ask.bounds, told.now) == before


@given(ask=asks.asks(), actual=asks.actuals, history=asks.histories)
@settings(max_examples=100, deadline=None)
def test_all_or_nothing(ask: Ask, actual: Actual, history: list[tuple[int, Operation]]) -> None:
    told = Told()
    for pause, operation in history:
        told.step(pause, operation)
    before = told.windows.levels(ask.bounds, told.now)
    answer = told.windows.hold(ask, "it", told.now)
    if isinstance(answer, Over):
        assert told.windows.levels(ask.bounds, told.now) == before
        assert not answer.bound.shadow
        return
    assert ask.least <= answer.granted <= ask.output
    amounts = (ask.requests, ask.input, answer.granted, ask.input + answer.granted, ask.gpu_ms)
    for old, new in zip(before, answer.levels, strict=True):
        if max(old.used, amounts[new.bound.slot]) < LARGEST // 100:
            assert new.used - old.used == amounts[new.bound.slot]


@given(history=asks.histories, ask=asks.asks())
@settings(max_examples=150, deadline=None)
def test_whoever_waits_as_told_is_let_in_and_not_a_moment_sooner(
    history: list[tuple[int, Operation]], ask: Ask
) -> None:
    told = Told()
    for pause, operation in history:
        told.step(pause, operation)
    answer = told.windows.hold(ask, "it", told.now)
    if isinstance(answer, Held):
        return
    if answer.retry_after is None:
        late = told.windows.hold(ask, "late", told.now + 2 * MONTH.seconds * 1000)
        assert isinstance(late, Over)
        assert late.retry_after is None
        return
    free = told.now + round(answer.retry_after * 1000)
    assert isinstance(told.windows.hold(ask, "soon", free - 1), Over)
    assert isinstance(told.windows.hold(ask, "then", free), Held)


def hold(windows: Windows, ask: Ask, now: int = START) -> Held:
    answer = windows.hold(ask, f"{now}-{windows.running}", now)
    assert isinstance(answer, Held)
    return answer


def used(windows: Windows, bound: Bound, now: int = START) -> int:
    return windows.levels((bound,), now)[0].used


def test_what_was_spent_frees_after_the_window_and_at_most_one_bucket_later() -> None:
    for window in (SHORT, MINUTE, HOUR, DAY, MONTH):
        windows, bound = Windows(), spend(10, window)
        at = START + window.step_ms // 3
        hold(windows, Ask((bound,), output=10), at)
        length = window.seconds * 1000
        assert used(windows, bound, at + length) == 10
        assert used(windows, bound, at + length + window.step_ms) == 0


def test_output_is_granted_as_far_as_every_bound_reaches() -> None:
    windows = Windows()
    held = hold(windows, Ask((spend(1_000), spend(700, DAY), spend(650, HOUR, Meter.OUTPUT)), input=100, output=4_096))
    assert held.granted == 600
    assert [level.used for level in held.levels] == [700, 700, 600]
    assert windows.extend(held, 50, START) == 0  # the day has nothing left
    again = windows.hold(Ask((spend(1_000), spend(700, DAY)), output=1, least=1), "again", START)
    assert isinstance(again, Over)
    assert again.bound.window is DAY


def test_of_twenty_that_ask_for_nine_tenths_one_is_granted_all_and_one_the_rest() -> None:
    windows, bound = Windows(), spend(1_000)
    answers = [windows.hold(Ask((bound,), output=900, least=1), str(i), START) for i in range(20)]
    assert [answer.granted for answer in answers if isinstance(answer, Held)] == [900, 100]


def test_over_use_is_charged_beyond_the_bound() -> None:
    windows, bound = Windows(), spend(100)
    held = hold(windows, Ask((bound,), input=10, output=20))
    windows.settle(held, Actual(input=10, output=500), START)
    (level,) = windows.levels((bound,), START)
    assert (level.used, level.left) == (510, 0)
    assert isinstance(windows.hold(Ask((bound,), output=5, least=1), "next", START), Over)


def test_a_hold_is_settled_once() -> None:
    windows, bound = Windows(), spend(1_000)
    held = hold(windows, Ask((bound,), output=500))
    hold(windows, Ask((bound,), output=100))
    windows.settle(held, Actual(output=10), START)
    windows.settle(held, Actual(), START)
    assert used(windows, bound) == 110
    assert windows.extend(held, 5, START) == 0
    assert windows.running == 1


def test_unused_tokens_are_given_back_where_they_were_granted_last() -> None:
    windows, bound = Windows(), spend(1_000)
    held = hold(windows, Ask((bound,), output=100))
    windows.extend(held, 100, START + 30_000)
    windows.settle(held, Actual(output=120), START + 40_000)
    assert used(windows, bound, START + 40_000) == 120
    assert used(windows, bound, START + 62_000) == 20  # of the second grant
    assert used(windows, bound, START + 92_000) == 0


def test_what_was_held_in_a_window_that_is_over_changes_nothing_in_the_next() -> None:
    windows, bound = Windows(), spend(1_000)
    held = hold(windows, Ask((bound,), output=500))
    later = START + 120_000
    hold(windows, Ask((bound,), output=300), later)
    windows.settle(held, Actual(), later)
    assert used(windows, bound, later) == 300


def test_a_request_that_never_ran_is_given_back() -> None:
    windows, bound = Windows(), spend(5, meter=Meter.REQUESTS)
    held = hold(windows, Ask((bound,)))
    windows.settle(held, Actual(requests=0), START)
    assert used(windows, bound) == 0


def test_zero_suspends_whatever_is_asked() -> None:
    windows = Windows()
    answer = windows.hold(Ask((spend(0, meter=Meter.GPU_MS),), requests=0), "it", START)
    assert isinstance(answer, Over)
    assert answer.retry_after is None


def test_more_than_a_bound_will_never_fit() -> None:
    answer = Windows().hold(Ask((spend(100),), input=101), "it", START)
    assert isinstance(answer, Over)
    assert answer.retry_after is None


def test_a_bound_whose_meter_is_not_asked_for_does_not_refuse() -> None:
    windows, bound = Windows(), spend(10, meter=Meter.OUTPUT)
    windows.settle(hold(windows, Ask((bound,), output=10)), Actual(output=50), START)
    assert hold(windows, Ask((bound,), input=5)).granted == 0
    assert hold(windows, Ask((bound,), output=7)).granted == 0


def test_two_bounds_on_one_count_are_charged_once_and_the_stricter_refuses() -> None:
    windows = Windows()
    lax, strict = spend(100), replace(spend(50), name="class")
    held = hold(windows, Ask((lax, strict), input=10, output=200))
    assert held.granted == 40
    assert [level.used for level in held.levels] == [50, 50]
    windows.settle(held, Actual(input=10, output=5), START)
    assert used(windows, lax) == 15


def test_a_shadow_counts_tells_and_never_refuses() -> None:
    windows = Windows()
    shadow, real = replace(spend(10, HOUR), shadow=True), spend(1_000)
    held = hold(windows, Ask((shadow, real), input=50, output=100))
    assert (held.granted, held.shadowed) == (100, (shadow.name,))
    assert windows.extend(held, 100, START) == 100
    assert used(windows, shadow) == 250


def test_the_longest_wait_is_told() -> None:
    windows = Windows()
    bounds = (spend(10), spend(10, HOUR), spend(10, MINUTE, Meter.INPUT))
    hold(windows, Ask(bounds, input=10))
    answer = windows.hold(Ask(bounds, input=1), "it", START)
    assert isinstance(answer, Over)
    assert answer.bound.window is HOUR
    assert answer.retry_after is not None
    assert 3_600 < answer.retry_after <= 3_660
    assert answer.level.frees_in == answer.retry_after


def test_time_that_steps_back_stands_still() -> None:
    windows, bound = Windows(), spend(100)
    hold(windows, Ask((bound,), output=60))
    hold(windows, Ask((bound,), output=40), START - 3_600_000)
    assert isinstance(windows.hold(Ask((bound,), output=1, least=1), "it", START - 3_600_000), Over)
    assert used(windows, bound, START + 61_000) == 0


def test_idle_subjects_are_forgotten() -> None:
    windows = Windows()
    for i in range(5_000):
        now = START + i * 1_000
        bounds = (spend(100, subject=f"key:{i}"), spend(100, meter=Meter.REQUESTS, subject=f"key:{i}"))
        windows.settle(hold(windows, Ask(bounds, output=5), now), Actual(output=3), now)
    assert len(windows) < 600
    assert windows.running == 0


def test_holds_that_nobody_settled_are_forgotten_after_a_day() -> None:
    windows = Windows()
    for i in range(2_000):
        hold(windows, Ask((spend(100, subject=f"key:{i}"),), output=5), START + i * 300_000)
    assert windows.running < 600


def test_restored_amounts_count_in_every_window_they_are_in() -> None:
    windows = Windows()
    hour_ago = START - 3_700_000
    windows.restore(
        [
            ("key:a", Meter.TOKENS, START - 5_000, 10),
            ("key:a", Meter.TOKENS, hour_ago, 200),
            ("key:a", Meter.TOKENS, START - 40_000, 5),
            ("key:a", Meter.TOKENS, START + 9_000_000, 1),
            ("key:a", Meter.TOKENS, START, 0),
            ("key:a", Meter.TOKENS, START - 40 * 86_400_000, 9_999),
        ],
        START,
    )
    levels = windows.levels([spend(1_000, window) for window in (MINUTE, HOUR, DAY, MONTH)], START)
    assert [level.used for level in levels] == [16, 16, 216, 216]


def test_an_ask_and_a_bound_know_absurd_numbers() -> None:
    for wrong in ({"input": -1}, {"output": LARGEST + 1}, {"least": 1}, {"gpu_ms": -5}, {"output": 3, "least": 4}):
        with pytest.raises(ValueError, match="must be from"):
            Ask((), **wrong)
    for most in (-1, LARGEST + 1):
        with pytest.raises(ValueError, match="bound must be"):
            spend(most)
    with pytest.raises(ValueError, match="must be from"):
        Actual(output=-1)
    for subject in ("", "model:\ud800", "key:a\n"):
        with pytest.raises(ValueError, match="subject"):
            spend(1, subject=subject)
        with pytest.raises(ValueError, match="subject"):
            Seats(subject, 1)
    with pytest.raises(ValueError, match="seats must be"):
        Seats("key:a", -1)
    with pytest.raises(ValueError, match="buckets"):
        Window("odd", 1, 7)


def test_every_bound_has_a_count_of_its_own_per_subject_meter_and_window() -> None:
    keys = Counter(
        spend(1, window, meter, subject).key
        for window in (MINUTE, HOUR, DAY, MONTH)
        for meter in Meter
        for subject in ("key:a", "key:b")
    )
    assert set(keys.values()) == {1}
    assert len(keys) == 40


def test_a_full_bucket_stays_exact() -> None:
    ring = Ring(1_000, 60)
    ring.spend(START, LARGEST)
    ring.spend(START, LARGEST)
    assert ring.used(START) == LARGEST
    ring.correct(START, -2 * LARGEST, START)
    assert ring.used(START) == 0
    assert ring.empty_in(START) == 0
