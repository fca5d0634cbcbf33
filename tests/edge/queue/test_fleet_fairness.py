"""What `test_fairness` shows of one line, shown of four gateways that share an engine: over simulated hours, with the
real orders and news, and the double of turns.lua."""

from __future__ import annotations

import random
import statistics

import pytest

from edge.queue.contract import Wish
from edge.queue.order import Order
from edge.queue.settings import QueueLimits
from policies.obligations import Priority
from tests.edge.queue.fleet_simulation import FleetSimulation, fleet
from tests.edge.queue.simulation import Caller, Simulation, asks, between, jain
from tests.edge.queue.test_fairness import LOAD, LONGEST, ROOMY, Fifo

SPAN = 400.0


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("deaf", [0.0, 0.2])
def test_one_request_at_one_gateway_beside_fifty_over_four_waits_for_two_at_most(slots: int, deaf: float) -> None:
    seconds = between(random.Random(1), 0.5, 1.5)
    callers = [Caller("many", 50, asks("many", seconds)), Caller("one", 1, asks("one", seconds))]
    it = fleet(4, ROOMY, callers, slots=slots)
    it.deaf = deaf
    it.spread = lambda caller, number: 0 if caller.name == "one" else number
    it.run_polling(SPAN)
    assert statistics.median(it.report.waits("one")) <= 2 * 1.0
    assert it.most_running == slots
    assert len(it.report.done) > 0.9 * SPAN * slots, "and the engine is never idle"


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("deaf", [0.0, 0.2])
def test_callers_of_all_sizes_get_the_same_whatever_gateway_they_use(slots: int, deaf: float) -> None:
    rng = random.Random(7)
    callers = [Caller(f"c{n}", 3 * slots + n % 3, asks(f"c{n}", between(rng, 0.2, 0.5 + n))) for n in range(10)]
    it = fleet(4, ROOMY, callers, slots=slots)
    it.deaf = deaf
    # the first four have a gateway each, two share one, the others use all
    it.spread = lambda caller, number: min(int(caller.name[1:]), 3) if caller.name < "c6" else number
    it.run_polling(SPAN)
    assert jain([it.report.served[caller.name] for caller in callers]) >= 0.95
    assert it.most_running <= slots


def mixed(models: str = "ab") -> list[Caller]:
    rng = random.Random(3)
    return [Caller(f"c{n}", 4, asks(f"c{n}", between(rng, 0.5, LONGEST), lambda: rng.choice(models))) for n in range(6)]


@pytest.mark.parametrize("slots", [1, 4])
def test_swaps_fall_to_a_fifth_at_the_same_fairness_and_within_the_bound(slots: int) -> None:
    before = Simulation(Fifo(slots, QueueLimits(limit=1000, share=1.0, passed_over=0), 1), mixed(), load=LOAD)
    before.run(SPAN)
    it = fleet(4, ROOMY, mixed(), slots=slots, models=1, load=LOAD)
    it.run_polling(SPAN)
    once, now = before.report, it.report
    assert once.loads / len(once.done) > 0.3
    assert now.loads / len(now.done) <= once.loads / len(once.done) / 5
    assert jain(list(now.served.values())) >= jain(list(once.served.values())) - 0.02
    assert len(now.done) > 2 * len(once.done), "what was not spent on loading was served"
    assert it.worst <= ROOMY.passed_over + LONGEST + 0.2, "and then who answers must come to its end"
    assert it.most_running <= slots


def test_what_four_serve_is_about_what_one_would() -> None:
    def served(it: Simulation) -> int:
        return len(it.report.done)

    alone = Simulation(Order(2, ROOMY, 1), mixed(), load=LOAD)
    alone.run(SPAN)
    it = fleet(4, ROOMY, mixed(), slots=2, models=1, load=LOAD)
    it.run_polling(SPAN)
    assert served(it) >= 0.85 * served(alone)


def watch_models(it: FleetSimulation, most: int) -> None:
    answering = {lease.model for lease in it.engine.leases.values()}
    assert len(answering) <= most
    assert sum(lease.loads for lease in it.engine.leases.values()) <= 1


@pytest.mark.parametrize("most", [1, 2])
def test_never_more_models_than_fit_answer_and_one_loads_at_a_time(most: int) -> None:
    it = fleet(3, ROOMY, mixed("abc"), slots=4, models=most, load=1.0)

    def look() -> None:
        watch_models(it, most)
        it._at(it.now + 0.05, look)

    it._at(0.0, look)
    it.run_polling(200.0)
    assert {one.model for one in it.report.done} == set("abc")


def test_a_model_wanted_at_one_gateway_only_is_loaded_after_the_bound() -> None:
    seconds = between(random.Random(5), 0.5, LONGEST)
    callers = [
        Caller("a", 8, asks("a", seconds, lambda: "a")),
        Caller("b", 1, asks("b", seconds, lambda: "b"), since=5.0),
    ]
    it = fleet(4, ROOMY, callers, slots=2, models=1, load=1.0)
    it.spread = lambda caller, number: 3 if caller.name == "b" else number % 3
    it.run_polling(SPAN)
    waits = it.report.waits("b")
    assert len(waits) > 20
    assert max(waits) <= ROOMY.passed_over + LONGEST + 1.0 + 0.3


def test_later_bands_get_their_turn_though_they_wait_at_another_gateway() -> None:
    seconds = between(random.Random(6), 0.5, 1.5)

    def banded(name: str, band: Priority) -> Caller:
        return Caller(name, 4, ((Wish(name, band, "m"), seconds()) for _ in iter(int, 1)))

    callers = [banded("now", Priority.INTERACTIVE), banded("later", Priority.BATCH)]
    it = fleet(2, QueueLimits(limit=1000, share=1.0, band_turns=4), callers)
    it.spread = lambda caller, _: int(caller.name == "later")
    it.run_polling(SPAN)
    turns = [one.caller for one in it.report.done]
    assert turns.count("later") / len(turns) == pytest.approx(1 / 5, abs=0.03)


def test_who_comes_late_to_a_gateway_of_its_own_begins_where_the_others_stand() -> None:
    seconds = between(random.Random(9), 0.5, 1.5)
    callers = [Caller("here", 4, asks("here", seconds)), Caller("late", 4, asks("late", seconds), since=SPAN)]
    it = fleet(2, ROOMY, callers)
    it.spread = lambda caller, _: int(caller.name == "late")
    it.run_polling(SPAN + 200)
    since = [one.caller for one in it.report.done if one.joined >= SPAN]
    assert since.count("late") / len(since) == pytest.approx(0.5, abs=0.05)
