"""The order of one of several gateways: what it bids, what it does with a slot, what it hears and tells."""

from __future__ import annotations

import pytest

from edge.queue.contract import Wish
from edge.queue.news import News
from edge.queue.order import Entry, State
from edge.queue.settings import QueueLimits
from edge.queue.shared_order import ASKING, HEARD, Bid, Kind, SharedOrder, Sight
from policies.obligations import Priority

LIMITS = QueueLimits(limit=4, share=1.0, band_turns=2, passed_over=15.0)


def shared(models: int | None = None, limits: QueueLimits = LIMITS, name: str = "g") -> SharedOrder:
    return SharedOrder(limits, models, name, "e")


def come(
    order: SharedOrder, caller: str = "k", model: str = "a", now: float = 0.0, priority: Priority = Priority.NORMAL
) -> Entry:
    entry = order.entry(Wish(caller, priority, model))
    assert not order.take(entry, now), "nobody goes before there is a slot"
    assert order.join(entry, now) is None
    return entry


def bid(order: SharedOrder, now: float = 0.0) -> Bid:
    found = order.bid(now)
    assert found is not None
    return found


def go(order: SharedOrder, now: float = 0.0) -> Entry:
    order.hand(order.lease())
    (entry,) = order.next(now)
    return entry


def test_nobody_goes_before_there_is_a_slot_and_one_goes_with_each() -> None:
    order = shared()
    first, second = come(order), come(order)
    assert order.next(0.0) == []
    assert bid(order).entry is first
    order.hand("g-lease")
    assert order.next(0.0) == [first]
    assert order.live == {first: "g-lease"}
    assert order.next(0.0) == []
    order.leave(first, 1.0)
    assert list(order.gone) == [("g-lease", True)]
    assert order.next(1.0) == [], "the slot is the engine's, not the next one's"
    assert second.state is State.WAITING


def test_a_slot_for_nobody_is_given_back() -> None:
    order = shared()
    entry = come(order)
    won = bid(order)
    order.leave(entry, 0.0)
    assert not order.keeps(won, 0.0)
    order.hand("g-1")
    assert order.next(0.0) == []
    assert list(order.gone) == [("g-1", False)]
    assert order.bid(0.0) is None


def test_a_slot_goes_to_another_one_that_is_as_good_and_not_to_a_worse_one() -> None:
    order = shared()
    first, _ = come(order, "k"), come(order, "k")
    won = bid(order)
    order.leave(first, 0.0)
    assert order.keeps(won, 0.0)
    other = shared()
    first, _ = come(other, "k"), come(other, "l", priority=Priority.BATCH)
    won = bid(other)
    other.leave(first, 0.0)
    assert not other.keeps(won, 0.0)


def test_bids_name_band_and_service_and_a_band_passed_by_for_long_comes_first() -> None:
    order = shared()
    come(order, "b", priority=Priority.BATCH)
    assert bid(order).rank[:2] == (2, Kind.READY)
    for _ in range(2):
        order.hear(News("other", "e", turns=((0, "x"),)), 0.0)
    assert bid(order).rank.band == -1
    order.hear(News("other", "e", turns=((2, "x"),)), 0.0)
    assert bid(order).rank.band == 2


def test_what_others_charge_counts() -> None:
    order = shared()
    come(order, "much")
    come(order, "little")
    order.hear(News("other", "e", served={"much": 50.0, "little": 10.0}), 0.0)
    assert (bid(order).entry.account.caller, bid(order).rank.service) == ("little", 10.0)


def test_what_one_tells_the_other_knows() -> None:
    one, two = shared(name="one"), shared(name="two")
    entry = come(one, "k")
    go(one)
    one.charge(entry, 10, 20, 0.0)
    one.leave(entry, 0.0)
    assert one.has_news
    two.hear(one.news(0.0), 0.0)
    assert not one.has_news
    assert two.attained.value("k") == pytest.approx(50.0)
    assert one.attained.value("k") == pytest.approx(50.0)
    two.hear(one.news(0.0, accounts=True), 0.0)
    assert two.attained.value("k") == pytest.approx(50.0), "told again as a whole, it is not added"


def test_nothing_is_forgotten_while_somebody_waits_anywhere() -> None:
    order = shared()
    order.hear(News("other", "e", served={"k": 100.0}, line=(None, 1.0, None)), 0.0)
    order.hear(News("other", "e", line=(None, 1.0, None)), HEARD - 0.1)
    come(order, "k", now=HEARD)
    assert bid(order, HEARD).rank.service == pytest.approx(100.0)
    other = shared()
    other.hear(News("other", "e", served={"k": 100.0}), 0.0)
    come(other, "k", now=60.0)
    assert bid(other, 60.0).rank.service == pytest.approx(50.0)


def test_newcomers_begin_where_those_stand_who_wait_elsewhere() -> None:
    order = shared()
    order.hear(News("other", "e", turns=((1, "old"),), served={"old": 80.0}, line=(None, 40.0, None)), 0.0)
    order.hear(News("other", "e", turns=((1, "old"),), line=(None, 40.0, None)), 0.0)
    come(order, "new")
    assert bid(order).rank.service == pytest.approx(40.0)


def test_lines_that_are_told_of_no_more_are_believed_no_more() -> None:
    order = shared()
    order.hear(News("other", "e", running=3, line=(None, 40.0, None)), 0.0)
    assert order.served_elsewhere == 3
    come(order, "new", now=HEARD)
    assert (bid(order, HEARD).rank.service, order.served_elsewhere) == (0.0, 0)


def test_who_waits_for_a_slot_that_is_free_takes_no_place_in_line() -> None:
    order = shared(limits=QueueLimits(limit=1, share=1.0))
    order.spare = 2
    for _ in range(3):
        come(order)
    assert order.join(order.entry(Wish("k")), 0.0) is not None
    assert order.deadline(order.entry(Wish("k"))) >= ASKING


def test_alone_it_hands_out_its_slots_without_asking() -> None:
    order = shared()
    first, second, third = come(order), come(order), come(order)
    order.alone(2)
    assert order.next(0.0) == [first, second]
    order.leave(first, 0.0)
    order.alone(0)
    assert order.next(0.0) == []
    assert set(order.live) == {second}
    assert third.state is State.WAITING


class TestModels:
    """`a` is loaded and answers elsewhere, `b` is wanted here, and one fits."""

    SIGHT = Sight(1, (("a", False),), (("a", 0.0),))

    def test_what_is_loaded_elsewhere_is_ready_and_another_waits_for_it(self) -> None:
        order = shared(1)
        come(order, model="b")
        assert not order.look(self.SIGHT, 0.0)
        assert order.bid(0.0) is None
        come(order, model="a")
        assert (bid(order).entry.model, bid(order).rank.kind, bid(order).loads) == ("a", Kind.READY, False)

    def test_a_load_that_drives_out_another_model_lets_ready_ones_go_first_and_then_no_more(self) -> None:
        order = shared(1)
        come(order, model="b")
        idle = Sight(0, (), (("a", 1.0),))
        order.look(idle, 0.0)
        found = bid(order)
        assert (found.rank.kind, found.loads, found.evicts) == (Kind.LOAD, True, ("a",))
        assert bid(order, 14.9).rank.kind is Kind.LOAD
        assert bid(order, 15.0).rank.kind is Kind.DUE
        order.look(self.SIGHT, 15.0)
        assert bid(order, 15.0).rank.kind is Kind.DUE, "it holds the others up while it waits for the answer to end"

    def test_a_load_elsewhere_is_waited_for_and_does_not_count_as_waiting(self) -> None:
        order = shared(1)
        entry = come(order, model="b")
        assert order.look(Sight(1, (("b", True),)), 1.0)
        assert order.is_loading(entry)
        assert order.bid(1.0) is None
        assert order.deadline(entry) == 1.0 + LIMITS.load_wait
        assert order.look(Sight(1, (("b", False),), (("b", 0.0),)), 11.0)
        assert not order.is_loading(entry)
        assert order.deadline(entry) == LIMITS.wait + 10.0
        assert bid(order, 11.0).rank.kind is Kind.READY

    def test_its_own_load_is_its_own_to_tell(self) -> None:
        order = shared(1)
        entry = come(order, model="b")
        assert bid(order).loads
        assert go(order) is entry
        order.look(Sight(1), 0.0)
        assert order.models.loading == "b"
        order.began(entry, 1.0)
        order.look(Sight(1), 1.0)
        assert order.models.ready("b", 1.0)

    def test_an_engine_that_never_swaps_has_nothing_to_see(self) -> None:
        order = shared(None)
        come(order, model="b")
        assert not order.look(self.SIGHT, 0.0)
        assert (bid(order).rank.kind, bid(order).loads) == (Kind.READY, False)
