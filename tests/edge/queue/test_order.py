"""Who goes next, rule by rule, in simulated time."""

from __future__ import annotations

import pytest

from edge.queue.contract import Wish
from edge.queue.order import Entry, Full, Order, State
from edge.queue.settings import QueueLimits
from policies.obligations import Priority

FIRST, MIDDLE, LAST = Priority


class Bench:
    """An Order with a clock and names for its entries."""

    def __init__(self, slots: int = 1, models: int | None = None, limits: QueueLimits | None = None) -> None:
        self.order = Order(slots, limits or QueueLimits(), models)
        self.now = 0.0
        self.running: list[Entry] = []

    def ask(self, caller: str, band: Priority = MIDDLE, model: str = "m") -> Entry:
        entry = self.order.entry(Wish(caller, band, model))
        if self.order.take(entry, self.now):
            self.running.append(entry)
        else:
            assert self.order.join(entry, self.now) is None
            self.running += self.order.next(self.now)
        return entry

    def refused(self, caller: str) -> Full | None:
        return self.order.join(self.order.entry(Wish(caller)), self.now)

    def begin(self, entry: Entry) -> None:
        assert self.order.began(entry, self.now)
        self.running += self.order.next(self.now)

    def end(self, entry: Entry, tokens: int = 100, *, served: bool = True) -> list[Entry]:
        """`entry` is over; who went next."""
        self.order.charge(entry, tokens if served else 0, 0, self.now)
        self.order.leave(entry, self.now, served=served)
        self.running.remove(entry)
        went = self.order.next(self.now)
        self.running += went
        return went

    def rest(self, tokens: int = 100) -> list[Entry]:
        """End one after the other, each as it comes to run; the order in which they went."""
        went: list[Entry] = []
        while self.running:
            entry = self.running[0]
            if entry.loads:
                self.order.began(entry, self.now)
            went += self.end(entry, tokens)
        return went


def test_slots_are_filled_and_then_there_is_a_line_and_positions_in_it() -> None:
    bench = Bench(slots=2)
    first, second, third, fourth = (bench.ask(name) for name in "abcd")
    assert [entry.state for entry in (first, second, third, fourth)] == [State.RUNNING] * 2 + [State.WAITING] * 2
    assert [bench.order.position(entry) for entry in (first, second, third, fourth)] == [0, 0, 1, 2]
    assert bench.end(second) == [third]
    assert bench.order.position(fourth) == 1


def test_the_least_served_goes_next_and_of_its_requests_the_oldest() -> None:
    bench = Bench()
    holder = bench.ask("holder")
    noisy = [bench.ask("noisy") for _ in range(5)]
    quiet = bench.ask("quiet")
    assert bench.order.position(quiet) == 2
    assert bench.end(holder) == [noisy[0]]
    assert bench.rest() == [quiet, *noisy[1:]]


def test_service_and_not_the_number_of_turns_is_what_counts() -> None:
    bench = Bench()
    holder = bench.ask("holder")
    big, small = [bench.ask("big") for _ in range(3)], [bench.ask("small") for _ in range(6)]
    (entry,) = bench.end(holder)
    went = [entry]
    while bench.running:
        went += bench.end(entry, 400 if entry in big else 100)
        entry = went[-1]
    assert [went.index(entry) for entry in big] == [0, 5, 8]
    assert small == [entry for entry in went if entry not in big]


def test_who_was_away_begins_with_the_least_of_those_who_are_there_and_not_at_nothing() -> None:
    bench = Bench()
    holder = bench.ask("a")
    waiting = [bench.ask("a") for _ in range(3)]
    went = bench.end(holder, 10_000)
    went += bench.end(went[0], 10_000)
    newcomers = [bench.ask("late") for _ in range(3)]
    order = bench.rest(10_000)
    assert order == [newcomers[0], waiting[2], *newcomers[1:]]


def test_earlier_bands_go_first_but_a_later_one_is_never_passed_by_for_ever() -> None:
    bench = Bench(limits=QueueLimits(band_turns=3))
    holder = bench.ask("h")
    last = [bench.ask("slow", LAST) for _ in range(2)]
    middle = [bench.ask("usual", MIDDLE) for _ in range(2)]
    first = [bench.ask("quick", FIRST) for _ in range(7)]
    went = bench.end(holder)
    went += bench.rest()
    assert went == [*first[:3], middle[0], last[0], *first[3:6], middle[1], last[1], first[6]]


def test_the_line_is_bounded_and_so_is_each_callers_share_of_it() -> None:
    bench = Bench(limits=QueueLimits(limit=4, share=0.5))
    for _ in range(3):
        bench.ask("noisy")
    assert bench.refused("noisy") is Full.SHARE
    bench.ask("a")
    left = bench.ask("b")
    assert bench.refused("c") is Full.LINE
    bench.order.leave(left, 0)
    assert left.state is State.OUT
    bench.ask("c")


def test_more_slots_serve_more_and_fewer_slots_wait_for_those_who_run() -> None:
    bench = Bench(slots=1)
    entries = [bench.ask(name) for name in "abcd"]
    bench.order.slots = 3
    bench.running += bench.order.next(0)
    assert bench.order.running == 3
    bench.order.slots = 1
    assert bench.end(entries[0]) == bench.end(entries[1]) == []
    assert bench.end(entries[2]) == [entries[3]]


# -- models ------------------------------------------------------------------------------------------------------------


def loaded(model: str = "a", slots: int = 1, models: int = 1, **limits: float) -> tuple[Bench, Entry]:
    """An engine that is answering a request for `model`."""
    bench = Bench(slots, models, QueueLimits(passed_over=limits.get("passed_over", 15.0), band_turns=3))
    holder = bench.ask("holder", model=model)
    bench.begin(holder)
    return bench, holder


def test_requests_for_the_loaded_model_go_first() -> None:
    bench, holder = loaded("a")
    others = [bench.ask(f"other{n}", model="b") for n in range(2)]
    same = [bench.ask(f"same{n}", model="a") for n in range(2)]
    assert [*bench.end(holder), *bench.rest()] == [*same, *others]


def test_nobody_is_passed_over_for_longer_than_the_bound() -> None:
    bench, holder = loaded("a", passed_over=10.0)
    other = bench.ask("other", model="b")
    same = [bench.ask(f"same{n}", model="a") for n in range(5)]
    assert bench.end(holder) == [same[0]]
    assert bench.order.longest_passed_over(bench.now) == 0
    bench.now = 9.0
    assert bench.end(same[0]) == [same[1]]
    assert bench.order.longest_passed_over(bench.now) == 9
    bench.now = 10.0
    assert bench.end(same[1]) == [other]
    assert other.loads
    assert bench.order.longest_passed_over(bench.now) == 0


def test_nothing_is_loaded_while_an_answer_would_lose_its_model() -> None:
    bench, holder = loaded("a", slots=4)
    other = bench.ask("other", model="b")
    assert other.state is State.WAITING
    same = bench.ask("same", model="a")
    assert same.state is State.RUNNING, "a free slot, and the model is there"
    bench.now = 20.0
    late = bench.ask("late", model="a")
    assert late.state is State.WAITING, "the other one has been passed over long enough"
    assert bench.end(holder) == []
    assert bench.end(same) == [other]
    assert late.state is State.WAITING


def test_an_engine_with_room_loads_beside_what_answers() -> None:
    bench, _ = loaded("a", slots=4, models=2)
    second = bench.ask("x", model="b")
    assert second.loads
    third = bench.ask("y", model="c")
    assert third.state is State.WAITING
    same = bench.ask("z", model="a")
    assert same.state is State.RUNNING
    bench.begin(second)
    assert third.state is State.WAITING, "both models are answering"
    assert bench.end(second) == [third]


def test_a_later_band_never_passes_an_earlier_one_for_its_models_sake() -> None:
    bench, holder = loaded("a", slots=4)
    first = bench.ask("first", FIRST, "b")
    same = bench.ask("same", MIDDLE, "a")
    assert same.state is State.WAITING
    assert bench.end(holder) == [first]


def test_one_request_loads_and_the_others_wait_for_it_with_a_time_of_their_own() -> None:
    bench = Bench(4, 1, QueueLimits(wait=30.0, load_wait=300.0))
    loader, *others = (bench.ask(name, model="a") for name in "xyz")
    other = bench.ask("w", model="b")
    assert [entry.state for entry in others] == [State.WAITING] * 2
    assert [bench.order.is_loading(entry) for entry in (loader, *others, other)] == [True, True, True, False]
    assert [bench.order.deadline(entry) for entry in (*others, other)] == [300, 300, 30]
    bench.now = 100.0
    bench.begin(loader)
    assert [entry.state for entry in others] == [State.RUNNING] * 2
    late = bench.ask("v", model="b")
    assert not bench.order.is_loading(late)
    assert bench.order.deadline(late) == 130


def test_the_time_of_a_load_does_not_count_as_waiting() -> None:
    bench = Bench(1, 1, QueueLimits(wait=30.0))
    loader = bench.ask("x", model="a")
    bench.now = 10.0
    waiting = bench.ask("y", model="a")
    bench.now = 60.0
    bench.begin(loader)
    assert waiting.state is State.WAITING
    assert bench.order.deadline(waiting) == 10 + 30 + 50


@pytest.mark.parametrize("served", [True, False])
def test_when_the_loader_leaves_the_next_one_loads_unless_it_was_answered(*, served: bool) -> None:
    bench = Bench(2, 1)
    loader, other = bench.ask("x", model="a"), bench.ask("y", model="a")
    assert bench.end(loader, served=served) == [other]
    assert other.loads is not served


def test_a_line_that_moves_on_forgets_who_was_passed_over() -> None:
    bench, _ = loaded("a", slots=2)
    other = bench.ask("other", model="b")
    bench.ask("same", model="a")
    bench.now = 5.0
    assert bench.order.longest_passed_over(bench.now) == 5
    bench.order.leave(other, bench.now)
    assert bench.order.longest_passed_over(bench.now) == 0


def test_service_is_forgotten_only_while_nobody_waits() -> None:
    bench = Bench(limits=QueueLimits(half_life=60.0))
    bench.end(bench.ask("a"), 1000)
    bench.now = 60.0
    holder = bench.ask("h")
    assert bench.order.attained.value("a") == pytest.approx(500)
    bench.ask("b")
    bench.now = 3600.0
    bench.end(holder)
    assert bench.order.attained.value("a") == pytest.approx(500)


def test_a_line_that_all_have_left_does_not_look_stuck_later() -> None:
    bench = Bench()
    bench.ask("holder")
    bench.order.leave(bench.ask("gone"), bench.now)
    bench.now = 50.0
    assert bench.order.drain.seconds(bench.now, 1) == 1


def test_of_two_served_alike_the_one_with_less_under_way_goes() -> None:
    bench = Bench(slots=2)
    holder = bench.ask("busy")
    bench.ask("other")
    busy, idle = bench.ask("busy"), bench.ask("idle")
    for account in (busy.account, idle.account):
        account.value = 10.0
    bench.order.leave(bench.running[1], bench.now)
    assert holder.state is State.RUNNING
    assert bench.order.next(bench.now) == [idle]
