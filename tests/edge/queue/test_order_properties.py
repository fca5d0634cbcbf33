"""Whatever comes, goes, loads and fails, in whatever order: no slot is lost or given twice, no line grows too long.

Invariant: who runs are as many as slots are taken; who could go has gone; an engine that holds n models is never asked
for more than n at once, nor for one that is being loaded by another; once all have left, nothing is left.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from edge.queue.contract import Wish
from edge.queue.order import Entry, Full, Order, State
from edge.queue.settings import QueueLimits
from policies.obligations import Priority

CALLERS, MODELS = st.sampled_from("vwxyz"), st.sampled_from("abc")


class Line(RuleBasedStateMachine):
    entries = Bundle("entries")

    @initialize(
        slots=st.integers(1, 4),
        models=st.one_of(st.none(), st.integers(1, 3)),
        limit=st.integers(0, 12),
        share=st.sampled_from([0.01, 0.5, 1.0]),
        bounds=st.tuples(st.sampled_from([0.0, 5.0, 1e6]), st.integers(1, 4)),
    )
    def begin(self, slots: int, models: int | None, limit: int, share: float, bounds: tuple[float, int]) -> None:
        self.limits = QueueLimits(limit=limit, share=share, passed_over=bounds[0], band_turns=bounds[1])
        self.models = models
        self.order = Order(slots, self.limits, models)
        self.now = 0.0
        self.here: list[Entry] = []

    def go_on(self) -> None:
        for entry in self.order.next(self.now):
            assert entry.state is State.RUNNING
        assert self.order.next(self.now) == [], "who could go has gone"

    @rule(target=entries, caller=CALLERS, model=MODELS, band=st.sampled_from(Priority))
    def come(self, caller: str, model: str, band: Priority) -> Entry:
        entry = self.order.entry(Wish(caller, band, model))
        if self.order.take(entry, self.now):
            self.here.append(entry)
            return entry
        match self.order.join(entry, self.now):
            case Full.LINE:
                assert self.order.waiting >= self.limits.limit
            case Full.SHARE:
                assert entry.account.waiting >= self.limits.places
            case None:
                self.here.append(entry)
                assert self.order.position(entry) <= self.order.waiting
        self.go_on()
        return entry

    @rule(entry=consumes(entries), served=st.booleans(), tokens=st.integers(0, 1000))
    def leave(self, entry: Entry, tokens: int, *, served: bool) -> None:
        self.order.charge(entry, tokens, tokens, self.now)
        for _ in range(2):  # the second time must change nothing
            self.order.leave(entry, self.now, served=served)
        assert entry.state is State.OUT
        self.here = [other for other in self.here if other is not entry]
        self.go_on()

    @rule(entry=entries)
    def answer(self, entry: Entry) -> None:
        loads = entry.loads
        assert self.order.began(entry, self.now) == loads
        self.go_on()

    @rule(seconds=st.sampled_from([0.1, 6.0, 400.0, 1e5]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.go_on()

    @rule(slots=st.integers(1, 4))
    def resize(self, slots: int) -> None:
        self.order.slots = slots
        self.go_on()

    @invariant()
    def nothing_is_lost_or_given_twice(self) -> None:
        if not hasattr(self, "order"):
            return
        running = [entry for entry in self.here if entry.state is State.RUNNING]
        waiting = [entry for entry in self.here if entry.state is State.WAITING]
        assert len(running) + len(waiting) == len(self.here)
        assert (self.order.running, self.order.waiting) == (len(running), len(waiting))
        assert len(waiting) <= self.limits.limit
        assert max(Counter(entry.account.caller for entry in waiting).values(), default=0) <= self.limits.places
        if self.models is not None:
            models = {entry.model for entry in running}
            assert len(models) <= self.models
            for loader in (entry for entry in running if entry.loads):
                assert [entry for entry in running if entry.model == loader.model] == [loader]
        positions = sorted(self.order.position(entry) for entry in waiting)
        assert not waiting or (positions[0] >= 1 and positions[-1] <= len(waiting))

    def teardown(self) -> None:
        if not hasattr(self, "order"):
            return
        for entry in list(self.here):
            self.order.leave(entry, self.now)
            self.go_on()
        assert (self.order.running, self.order.waiting) == (0, 0)
        assert all(not self.order.entry(Wish(name)).account.running for name in "vwxyz")
        assert self.order.take(self.order.entry(Wish("new")), self.now)


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
