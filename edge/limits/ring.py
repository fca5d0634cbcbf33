"""One count in one sliding window: the buckets of the last window length and their sum. Pure; times are milliseconds.

A bucket counts as long as any part of it overlaps the last window length, both ends included, so that no interval of
that length ever holds more than was allowed; the price is that what was spent frees up to one bucket late.
"""

from __future__ import annotations

from edge.limits.contract import LARGEST, Bound


class Ring:
    """`buckets`: number of the bucket -> amount, in order, never 0 or negative; `total` is their sum. A bucket counts
    for `life` milliseconds from its beginning. `turn` is its owner's mark: the step that charged it last."""

    __slots__ = ("_newest", "_oldest", "buckets", "life", "span", "step", "total", "turn")

    def __init__(self, step: int, span: int) -> None:
        self.step = step
        self.span = span
        self.life = (span + 1) * step
        self.total = 0
        self.turn = 0
        self.buckets: dict[int, int] = {}
        self._oldest = self._newest = -1

    def used(self, now: int) -> int:
        """The amount in the window that ends `now`; forgets what is older."""
        if self.total and self._oldest < (first := now // self.step - self.span):
            for number in list(self.buckets):
                if number >= first:
                    break
                self.total -= self.buckets.pop(number)
            self._find_ends()
        return self.total

    def spend(self, now: int, amount: int) -> None:
        """Add a positive amount `now`. A bucket is never more than LARGEST, which no bound is above."""
        number = now // self.step
        if number == self._newest and (new := self.buckets[number] + amount) <= LARGEST:
            self.buckets[number] = new
            self.total += amount
        else:
            self._change(number, amount)

    def correct(self, at: int, amount: int, now: int) -> None:
        """Add `amount` (negative: take out, down to 0) to the bucket of `at`, if it still counts `now`."""
        number = at // self.step
        if number < now // self.step - self.span:
            return
        if number == self._newest and 0 < (new := self.buckets[number] + amount) <= LARGEST:
            self.buckets[number] = new
            self.total += amount
        else:
            self._change(number, amount)

    def _change(self, number: int, amount: int) -> None:
        old = self.buckets.get(number, 0)
        new = min(max(old + amount, 0), LARGEST)
        self.total += new - old
        if new:
            self.buckets[number] = new
            if number > self._newest:
                self._newest = number
                if len(self.buckets) == 1:
                    self._oldest = number
            elif not old:  # a correction or a restored amount between others
                self.buckets = dict(sorted(self.buckets.items()))
                self._find_ends()
        elif old:
            del self.buckets[number]
            self._find_ends()

    def _find_ends(self) -> None:
        self._oldest = next(iter(self.buckets), -1)
        self._newest = next(reversed(self.buckets), -1)

    def empty_in(self, now: int) -> int:
        """Milliseconds until all that is in it has left the window."""
        return self._newest * self.step + self.life - now if self.total else 0

    def room_in(self, amount: int, now: int) -> int:
        """Milliseconds until at least `amount` (1 to the total) of it has left the window."""
        freed = 0
        for number, part in self.buckets.items():
            freed += part
            if freed >= amount:
                return number * self.step + self.life - now
        return self.empty_in(now)


def ring_of(bound: Bound) -> Ring:
    """An empty ring for the bound's window."""
    return Ring(bound.step, bound.window.buckets)
