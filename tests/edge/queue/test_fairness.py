"""Fairness and swaps, measured over hours of simulated time (`simulation`); random, with fixed seeds."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass

import pytest

from edge.queue.contract import Wish
from edge.queue.order import Entry, Order
from edge.queue.settings import QueueLimits
from tests.edge.queue.simulation import Caller, Report, Simulation, asks, between, jain

ROOMY = QueueLimits(limit=1000, share=1.0)
HOUR = 3600.0
LOAD = 5.0
LONGEST = 1.5


class Fifo(Order):
    """First come, first served, on an engine that must not lose a model that is answering: what was here before."""

    def _head(self) -> Entry:
        return min((entry for band in self._bands for entry in band), key=lambda entry: entry.number)


class Watched(Order):
    """Remembers for how long anybody was passed over."""

    worst = 0.0

    def next(self, now: float) -> list[Entry]:
        self.worst = max(self.worst, self.longest_passed_over(now))
        return super().next(now)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("seed", range(3))
def test_one_request_beside_fifty_waits_for_two_at_most(slots: int, seed: int) -> None:
    seconds = between(random.Random(seed), 0.5, 1.5)
    callers = [Caller("many", 50, asks("many", seconds)), Caller("one", 1, asks("one", seconds))]
    report = Simulation(Order(slots, ROOMY), callers).run(HOUR / 4)
    assert statistics.median(report.waits("one")) <= 2 * 1.0
    assert max(report.waits("one")) <= 4 * LONGEST


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("longest", [10.0, 40.0, 100.0])
def test_ten_callers_with_pieces_of_all_sizes_get_the_same_in_an_hour(slots: int, longest: float) -> None:
    rng = random.Random(7)
    mean = [longest * (n + 1) ** 2 / 100 for n in range(10)]
    callers = [Caller(f"c{n}", 3 * slots + n % 3, asks(f"c{n}", between(rng, mean[n] / 5, mean[n]))) for n in range(10)]
    served = Simulation(Order(slots, ROOMY), callers).run(HOUR).served
    assert jain([served[caller.name] for caller in callers]) >= 0.99


def test_pauses_between_requests_change_little() -> None:
    rng = random.Random(8)
    callers = [
        Caller(f"c{n}", 2 + n % 3, asks(f"c{n}", between(rng, 0.2, 1.0 + n)), think=rng.uniform(0, 5))
        for n in range(10)
    ]
    served = Simulation(Order(1, ROOMY), callers).run(HOUR).served
    assert jain([served[caller.name] for caller in callers]) >= 0.95


def test_an_hour_of_idling_buys_nothing() -> None:
    """Who comes after an hour gets half of the engine from then on, not all of it until it caught up."""
    seconds = between(random.Random(9), 0.5, 1.5)
    callers = [Caller("here", 4, asks("here", seconds)), Caller("late", 4, asks("late", seconds), since=HOUR)]
    report = Simulation(Order(1, ROOMY), callers).run(HOUR + 300)
    since = [one.caller for one in report.done if one.joined >= HOUR]
    assert since.count("late") / len(since) == pytest.approx(0.5, abs=0.05)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Six callers that ask one engine for two models, which it holds one of."""

    order: Order
    report: Report

    @property
    def loads(self) -> float:
        """Per request served."""
        return self.report.loads / len(self.report.done)

    @property
    def fairness(self) -> float:
        return jain(list(self.report.served.values()))


def mixed(order: Order) -> Mixed:
    rng = random.Random(3)
    callers = [
        Caller(f"c{n}", 4, asks(f"c{n}", between(rng, 0.5, LONGEST), lambda: rng.choice("ab"))) for n in range(6)
    ]
    return Mixed(order, Simulation(order, callers, load=LOAD).run(HOUR))


@pytest.mark.parametrize("slots", [1, 4])
def test_swaps_fall_to_a_fifth_at_the_same_fairness_and_within_the_bound(slots: int) -> None:
    before = mixed(Fifo(slots, QueueLimits(limit=1000, share=1.0, passed_over=0), 1))
    order = Watched(slots, ROOMY, 1)
    after = mixed(order)
    assert before.loads > 0.3
    assert after.loads <= before.loads / 5
    assert after.fairness >= before.fairness - 0.02
    assert len(after.report.done) > 2 * len(before.report.done), "what was not spent on loading was served"
    assert order.worst <= ROOMY.passed_over + LONGEST, "and then who answers must come to its end"
    assert max(d.wait for d in after.report.done) < max(d.wait for d in before.report.done)


@pytest.mark.parametrize("passed_over", [0.0, 5.0, 30.0])
def test_callers_of_one_model_each_stay_equal_and_the_bound_is_kept(passed_over: float) -> None:
    rng = random.Random(4)
    order = Watched(2, QueueLimits(limit=1000, share=1.0, passed_over=passed_over), 1)
    callers = [
        Caller(f"c{n}", 4, asks(f"c{n}", between(rng, 0.5, LONGEST), lambda n=n: "ab"[n % 2]))  # type: ignore[misc]
        for n in range(4)
    ]
    report = Simulation(order, callers, load=LOAD).run(HOUR)
    assert jain(list(report.served.values())) >= 0.98
    assert order.worst <= passed_over + LONGEST


def test_the_simulation_itself_serves_a_lone_caller_back_to_back() -> None:
    report = Simulation(Order(1, ROOMY), [Caller("a", 1, iter([(Wish("a"), 1.0)] * 11))]).run(10.0)
    assert [one.ended for one in report.done] == [float(n) for n in range(1, 11)]
    assert jain([1.0, 1.0]) == 1.0
    assert jain([1.0, 0.0]) == 0.5


def test_callers_that_never_use_their_share_lend_it_to_nobody() -> None:
    """Two that ask for one thing at a time stay behind the others for an hour: newcomers do not begin there."""
    seconds = between(random.Random(10), 0.5, 1.5)
    callers = [Caller(name, 1, asks(name, seconds)) for name in ("x", "y")]
    callers += [
        Caller("here", 12, asks("here", seconds)),
        Caller("late", 12, asks("late", seconds), since=HOUR),
    ]
    report = Simulation(Order(4, ROOMY), callers).run(HOUR + 120)
    since = [one.caller for one in report.done if one.joined >= HOUR]
    assert since.count("late") / (since.count("late") + since.count("here")) == pytest.approx(0.5, abs=0.07)
