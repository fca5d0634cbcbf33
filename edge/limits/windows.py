"""The counts of one process: hold, extend, settle and look, each one step. Pure: `now` (milliseconds) is passed in.

budget.lua does the same in Redis, and tests/edge/limits/test_equal.py holds the two to the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from edge.limits.contract import LARGEST, WINDOWS, Actual, Ask, Bound, Held, Level, Meter, Over, Window
from edge.limits.ring import Ring, ring_of

LIFE_MS: Final = 86_400_000
"""A hold that nobody touched for a day is forgotten, and what it holds stays charged until its windows end."""
MARKS: Final = 64
"""Of one hold, at which it was extended. What the oldest ones beyond that granted can no longer be given back."""
_SWEPT: Final = 4  # idle counts looked at for each new one: the sweep outruns the growth
_OUTPUT: Final = 2
_TOKENS: Final = 3
_OUTPUTS: Final = frozenset({_OUTPUT, _TOKENS})


class _Record:
    """A running hold: what it holds, and when it got its output tokens: (milliseconds, tokens), oldest first."""

    __slots__ = ("gpu_ms", "input", "marks", "output", "requests", "touched")

    def __init__(self, now: int, ask: Ask | None, granted: int) -> None:
        self.touched = now
        self.requests, self.input, self.gpu_ms = (ask.requests, ask.input, ask.gpu_ms) if ask else (0, 0, 0)
        self.output = granted
        self.marks = [(now, granted)]


class Windows:
    """All counts by their key. A count whose window has passed is forgotten when others come."""

    def __init__(self) -> None:
        self._rings: dict[str, Ring] = {}
        self._records: dict[str, _Record] = {}
        self._now = 0
        self._turn = 0
        self._born = 0
        self._unswept: list[str] = []

    def __len__(self) -> int:
        return len(self._rings)

    @property
    def running(self) -> int:
        """Holds that are not settled."""
        return len(self._records)

    def hold(self, ask: Ask, hold_id: str, now: int, origin: str = "memory") -> Held | Over:
        """See Budget.hold; `hold_id` must be new."""
        now = self._forward(now)
        rings = [self._rings.get(bound.key) for bound in ask.bounds]
        needs = (ask.requests, ask.input, ask.least, ask.input + ask.least, ask.gpu_ms)
        most = LARGEST
        refusing: list[Bound] = []
        shadowed: list[str] = []
        for bound, ring in zip(ask.bounds, rings, strict=True):
            slot = bound.slot
            room = bound.most if ring is None else bound.most - ring.used(now)
            if ((need := needs[slot]) > room and need) or not bound.most:
                if bound.shadow:
                    shadowed.append(bound.name)
                else:
                    refusing.append(bound)
            elif slot in _OUTPUTS:
                if slot == _TOKENS:
                    room -= ask.input
                if room < most and not bound.shadow:
                    most = room
        if refusing:
            return self._over(refusing, needs, now)
        granted = max(min(most, ask.output), 0)
        self._records[hold_id] = _Record(now, ask, granted)
        levels = self._charge(ask, rings, granted, now)
        return Held(hold_id, ask, granted, levels, tuple(shadowed), origin, max(most, 0))

    def _over(self, refusing: list[Bound], needs: tuple[int, ...], now: int) -> Over:
        waits = [self._wait(bound, needs[bound.slot], now) for bound in refusing]
        if None in waits:
            worst, wait = waits.index(None), None
        else:
            wait = max(wait for wait in waits if wait is not None)
            worst = waits.index(wait)
        bound = refusing[worst]
        level = _level(bound, self._rings.get(bound.key), now)
        return Over(bound, level, None if wait is None else wait / 1000)

    def _wait(self, bound: Bound, need: int, now: int) -> int | None:
        """Milliseconds until there is room for `need`; None: never."""
        ring = self._rings.get(bound.key)
        if not bound.most or need > bound.most or ring is None:
            return None
        return ring.room_in(ring.total + need - bound.most, now)

    def _charge(self, ask: Ask, rings: list[Ring | None], granted: int, now: int) -> tuple[Level, ...]:
        """Charges every count once, though several bounds may look at it (a class's and the key's own)."""
        amounts = (ask.requests, ask.input, granted, ask.input + granted, ask.gpu_ms)
        self._turn += 1
        levels: list[Level] = []
        for bound, found in zip(ask.bounds, rings, strict=True):
            ring = found
            if amount := amounts[bound.slot]:
                if ring is None:
                    ring = self._ring(bound)
                if ring.turn != self._turn:
                    ring.turn = self._turn
                    ring.spend(now, amount)
            levels.append(_level(bound, ring, now))
        return tuple(levels)

    def _ring(self, bound: Bound) -> Ring:
        ring = self._rings.get(bound.key)
        if ring is None:
            self._born += 1
            ring = self._rings[bound.key] = ring_of(bound)
        return ring

    def extend(self, held: Held, tokens: int, now: int, *, adopt: bool = False) -> int:
        """See Budget.extend. A hold that is not known gets nothing; with `adopt` it is taken for an empty one."""
        now = self._forward(now)
        record = self._record(held.id, now)
        if record is None:
            if not adopt:
                return 0
            record = self._records[held.id] = _Record(now, None, 0)
        bounds = {bound.key: bound for bound in held.ask.bounds if bound.slot in _OUTPUTS}
        granted = tokens
        for bound in held.ask.bounds:
            if bound.key in bounds and not bound.shadow:
                ring = self._rings.get(bound.key)
                granted = min(granted, bound.most - (ring.used(now) if ring is not None else 0))
        record.touched = now
        if granted <= 0:
            return 0
        for bound in bounds.values():
            self._ring(bound).spend(now, granted)
        record.output += granted
        record.marks.append((now, granted))
        del record.marks[1:-MARKS]
        return granted

    def _record(self, hold_id: str, now: int) -> _Record | None:
        record = self._records.get(hold_id)
        return None if record is None or record.touched + LIFE_MS < now else record

    def settle(self, held: Held, actual: Actual, now: int) -> None:
        """See Budget.settle. Corrects the buckets in which the hold was charged, as far as they still count."""
        now = self._forward(now)
        record = self._record(held.id, now)
        self._records.pop(held.id, None)
        if record is None:
            return
        requests = 0 if actual.requests is None else actual.requests - record.requests
        by_input = actual.input - record.input
        at = record.marks[0][0]
        (_, first), *later = _corrections(record.marks, actual.output - record.output)
        changes = (requests, by_input, first, by_input + first, actual.gpu_ms - record.gpu_ms)
        self._turn += 1
        for bound in held.ask.bounds:
            change = changes[bound.slot]
            if not change and not later:
                continue
            ring = self._ring(bound)
            if ring.turn == self._turn:
                continue
            ring.turn = self._turn
            if change:
                ring.correct(at, change, now)
            if bound.slot in _OUTPUTS:
                for when, more in later:
                    ring.correct(when, more, now)

    def forget(self, held: Held) -> None:
        """The hold is over, and what it was charged stays as it is."""
        self._records.pop(held.id, None)

    def levels(self, bounds: Sequence[Bound], now: int) -> tuple[Level, ...]:
        """See Budget.levels."""
        now = self._forward(now)
        levels = []
        for bound in bounds:
            ring = self._rings.get(bound.key)
            if ring is not None:
                ring.used(now)
            levels.append(_level(bound, ring, now))
        return tuple(levels)

    def restore(
        self, spent: Iterable[tuple[str, Meter, int, int]], now: int, windows: Sequence[Window] = WINDOWS
    ) -> None:
        """Count what was spent before the start: (subject, meter, milliseconds, amount). Call it once, before anything.

        Every amount goes into all `windows`, since which of them a bound looks at is known only when one comes.
        What lies in the future is taken for now.
        """
        now = self._forward(now)
        starts = [(slot, (now // each.step_ms - each.buckets) * each.step_ms) for slot, each in enumerate(windows)]
        known: dict[tuple[str, Meter], list[Ring | None]] = {}  # to make a Bound costs more than all the rest
        for subject, meter, at, amount in spent:
            if amount <= 0:
                continue
            when = min(at, now)
            rings = known.get(which := (subject, meter))
            if rings is None:
                rings = known[which] = [None] * len(windows)
            for slot, start in starts:
                if when >= start:
                    ring = rings[slot]
                    if ring is None:
                        ring = rings[slot] = self._ring(Bound(subject, meter, windows[slot], 0))
                    ring.spend(when, amount)
        self._born = 0  # a sweep of them all in one step would be felt

    def _forward(self, now: int) -> int:
        """Time never goes back here; and some idle counts are forgotten if new ones have come."""
        self._now = max(self._now, now)
        if self._born:
            self._sweep()
        return self._now

    def _sweep(self) -> None:
        for _ in range(_SWEPT * self._born):
            if not self._unswept:
                self._unswept = list(self._rings)
            key = self._unswept.pop()
            ring = self._rings.get(key)
            if ring is not None and not ring.used(self._now):
                del self._rings[key]
            if not self._rings:
                break
        self._born = 0
        for hold_id, record in list(islice(self._records.items(), _SWEPT)):
            if record.touched + LIFE_MS < self._now:
                del self._records[hold_id]


def _level(bound: Bound, ring: Ring | None, now: int) -> Level:
    """`ring` has forgotten what is out of its window (Ring.used)."""
    return Level(bound, 0, 0) if ring is None else Level(bound, ring.total, ring.empty_in(now))


def _corrections(marks: list[tuple[int, int]], change: int) -> list[tuple[int, int]]:
    """What to add at which time so that the output tokens of all marks together change by `change`: what was not used
    is taken from the latest first, as far as each granted; over-use goes to the latest."""
    changes: list[tuple[int, int]] = []
    for at, granted in reversed(marks):
        part = max(change, -granted)
        changes.append((at, part))
        change -= part
    return changes[::-1]
