"""Who goes next on one engine. Pure: time (seconds, never going back) is passed in, and nothing waits here.

1. Earlier bands go first; after `band_turns` turns in a row that passed a later band by, that band's next one goes.
2. Inside a band the caller that was served least goes next (`attained`), and of its requests the oldest.
3. Whoever that is may be passed over by requests for models that are loaded, of the same or an earlier band, for
   `passed_over` seconds from the moment on at which it could have gone but for its model. Then nobody else begins until
   its model is loaded.
4. A model is loaded by one request; those that also want it wait until it answers. Nothing is loaded while as many
   models as the engine holds are answering: that would push one of them out in the middle of its answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from edge.queue.attained import Account, Attained, Held
from edge.queue.contract import Wish
from edge.queue.drain import Drain
from edge.queue.residency import Residency
from edge.queue.settings import QueueLimits
from policies.obligations import Priority

_BANDS: Final[dict[Priority, int]] = {band: number for number, band in enumerate(Priority)}


class State(Enum):
    """Of an entry: not in line yet or any more, in line, holding a slot."""

    OUT = "out"
    WAITING = "waiting"
    RUNNING = "running"


class Full(Enum):
    """Why somebody may not stand in line: it is full, or the caller has its share of it."""

    LINE = "line"
    SHARE = "share"


class Entry:
    """One request. `joined` is when it came, `excused` the seconds during which its model was being loaded."""

    __slots__ = ("account", "band", "excused", "held", "joined", "loads", "model", "number", "state")

    def __init__(self, wish: Wish, account: Account) -> None:
        self.account = account
        self.band = _BANDS[wish.priority]
        self.model = wish.model
        self.held = Held(account)
        self.state = State.OUT
        self.loads = False
        self.joined = 0.0
        self.excused = 0.0
        self.number = 0


class Order:
    """The slots of one engine and the line for them; `models` = how many models it holds at once, None = it never
    swaps."""

    def __init__(
        self, slots: int, limits: QueueLimits, models: int | None = None, attained: Attained | None = None
    ) -> None:
        self.slots = slots
        self.spare = 0
        """Places of the line beyond its limit, for those who only wait to be told that a slot is free."""
        self.running = 0
        self.models: Final = Residency(models)
        self.attained: Final = Attained(limits.half_life) if attained is None else attained
        self.drain: Final = Drain()
        self._limits = limits
        self._bands: tuple[dict[Entry, None], ...] = tuple({} for _ in Priority)
        self._waiting = 0
        self._skipped = [0] * len(self._bands)
        self._passed: dict[str, float] = {}  # model -> since when its first request could have gone but for the model
        self._count = 0
        self._load_began = 0.0
        self._aged = 0.0

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return self._waiting

    def longest_passed_over(self, now: float) -> float:
        """For how many seconds some request has been passed over for want of its model; 0.0 = none."""
        return now - min(self._passed.values(), default=now)

    def entry(self, wish: Wish) -> Entry:
        """An entry for `wish`, not in line yet."""
        return Entry(wish, self.attained.of(wish.caller))

    # -- coming, going -----------------------------------------------------------------------------------------------

    def take(self, entry: Entry, now: float) -> bool:
        """Give `entry` a slot at once, if one is free and nobody waits."""
        if self._waiting or self.running >= self.slots:
            return False
        if self.models.swaps and not (self.models.ready(entry.model, now) or self.models.may_load()):
            return False
        entry.joined = now
        self._age(now)
        self._grant(entry, now)
        return True

    def join(self, entry: Entry, now: float) -> Full | None:
        """Put `entry` in line, or say why not. `next` then tells who goes."""
        self.drain.wanted(now)
        if self._waiting >= self._limits.limit + self.spare:
            return Full.LINE
        account = entry.account
        if account.waiting >= self._limits.places + self.spare:
            return Full.SHARE
        self._age(now)
        if not account.waiting:
            self.attained.lift(account, entry.band, {other.account for other in self._bands[entry.band]})
        self._count += 1
        entry.number, entry.joined, entry.state = self._count, now, State.WAITING
        self._bands[entry.band][entry] = None
        account.waiting += 1
        self._waiting += 1
        return None

    def next(self, now: float) -> list[Entry]:
        """Hand free slots out; those who got one."""
        went = []
        while self._waiting and self.running < self.slots:
            entry = self._pick(now)
            if entry is None:
                break
            self._remove(entry, now)
            self._count_bands(entry.band)
            self._grant(entry, now)
            went.append(entry)
        return went

    def began(self, entry: Entry, now: float) -> bool:
        """The engine answers `entry`; True if others may have waited for that."""
        if not entry.loads or entry.state is not State.RUNNING:
            return False
        entry.loads = False
        self._loaded(entry.model, now)
        self.models.began(entry.model, now)
        return True

    def leave(self, entry: Entry, now: float, *, served: bool = True) -> None:
        """`entry` is gone: out of the line, or out of its slot. `served` is False where the engine did not answer."""
        if entry.state is State.WAITING:
            self._age(now)
            self._remove(entry, now)
            if not self._waiting:
                self.drain.left()
        elif entry.state is State.RUNNING:
            self._release(entry, now, served=served)
        entry.state = State.OUT

    def charge(self, entry: Entry, input_tokens: int, output_tokens: int, now: float) -> None:
        """Charge `entry`'s caller with what it was served."""
        self._age(now)
        self.attained.charge(entry.held, input_tokens, output_tokens)

    # -- looking -----------------------------------------------------------------------------------------------------

    def is_loading(self, entry: Entry) -> bool:
        """Whether `entry` waits for its model, or is the one for which it is loaded."""
        if entry.state is State.RUNNING:
            return entry.loads
        return entry.state is State.WAITING and entry.model == self.models.loading

    def deadline(self, entry: Entry) -> float:
        """Until when `entry` may wait, as things stand now."""
        if self.is_loading(entry):
            return max(entry.joined, self._load_began) + self._limits.load_wait
        return entry.joined + self._limits.wait + entry.excused

    def position(self, entry: Entry) -> int:
        """1 = next, as things stand now; 0 = not in line."""
        if entry.state is not State.WAITING:
            return 0
        usual = self.attained.usual
        seen: dict[str, int] = {}
        ranks: dict[Entry, tuple[float, int]] = {}
        for other in self._bands[entry.band]:
            turn = seen[other.account.caller] = seen.get(other.account.caller, -1) + 1
            ranks[other] = (other.account.value + turn * usual, other.number)
        mine = ranks[entry]
        return 1 + sum(len(band) for band in self._bands[: entry.band]) + sum(rank < mine for rank in ranks.values())

    # -- the rules ---------------------------------------------------------------------------------------------------

    def _pick(self, now: float) -> Entry | None:
        head = self._head()
        models = self.models
        if not models.swaps:
            return head
        overdue = self._overdue(head, now)
        head = overdue or head
        if models.ready(head.model, now):
            return head
        if models.loading is not None:
            # Whatever the head waits for, nothing can be loaded for it now; what is loaded may go on.
            return self._ready(now, self._bands)
        since = self._passed.get(head.model, now)
        if models.has_room(now) and models.may_load():
            return head
        if now - since < self._limits.passed_over:
            self._passed[head.model] = since
            found = self._ready(now, self._bands[: head.band + 1])
            if found is not None:
                return found
        return head if models.may_load() else None

    def _head(self) -> Entry:
        """Who would be next if all models were loaded. Somebody waits."""
        due = [
            band for band, skipped in zip(self._bands, self._skipped, strict=True) if skipped >= self._limits.band_turns
        ]
        return _least(next(band for band in (*due, *self._bands) if band))

    def _overdue(self, head: Entry, now: float) -> Entry | None:
        """Who has been passed over for as long as anybody may be, and is not in a later band than `head`."""
        for model, since in self._passed.items():  # the oldest first
            if now - since >= self._limits.passed_over:
                for band in self._bands[: head.band + 1]:
                    found = [entry for entry in band if entry.model == model]
                    if found:
                        return _least(found)
        return None

    def _ready(self, now: float, bands: Iterable[dict[Entry, None]]) -> Entry | None:
        """The first one, by band and service, whose model is loaded."""
        known: dict[str, bool] = {}
        for band in bands:
            found = []
            for entry in band:
                ready = known.get(entry.model)
                if ready is None:
                    ready = known[entry.model] = self.models.ready(entry.model, now)
                if ready:
                    found.append(entry)
            if found:
                return _least(found)
        return None

    # -- the books ---------------------------------------------------------------------------------------------------

    def _grant(self, entry: Entry, now: float) -> None:
        entry.state = State.RUNNING
        entry.account.running += 1
        self.running += 1
        self.attained.hold(entry.held, entry.band)
        if self.models.swaps:
            entry.loads = self.models.take(entry.model, now)
            if entry.loads:
                self._load_began = now
                _ = self._passed.pop(entry.model, None)

    def _release(self, entry: Entry, now: float, *, served: bool) -> None:
        self._age(now)
        if entry.loads:
            entry.loads = False
            self._loaded(entry.model, now)
            if served:
                self.models.began(entry.model, now)
            else:
                self.models.failed(entry.model)
        self.models.give(entry.model, now)
        self.attained.close(entry.held)
        entry.account.running -= 1
        self.running -= 1
        self.drain.gave(now, wanted=self._waiting > 0)

    def _loaded(self, model: str, now: float) -> None:
        """The load is over, well or not: what it took is not counted as waiting."""
        for band in self._bands:
            for entry in band:
                if entry.model == model:
                    entry.excused += now - max(entry.joined, self._load_began)

    def _remove(self, entry: Entry, now: float) -> None:
        self._age(now)
        del self._bands[entry.band][entry]
        entry.account.waiting -= 1
        self._waiting -= 1
        if entry.model in self._passed and not any(other.model == entry.model for b in self._bands for other in b):
            del self._passed[entry.model]

    def _count_bands(self, served: int) -> None:
        self._skipped[served] = 0
        for number in range(served + 1, len(self._bands)):
            self._skipped[number] = self._skipped[number] + 1 if self._bands[number] else 0

    def _age(self, now: float) -> None:
        """Time makes past service count less, but only while nobody waits.

        Forgetting while callers compete would favour whoever asks for the largest pieces: a piece as large as what is
        remembered counts only in part when its owner is compared again (tests/edge/queue/test_fairness.py).
        """
        if not self._waiting:
            self.attained.age(now - self._aged)
        self._aged = now


def _least(entries: Iterable[Entry]) -> Entry:
    return min(entries, key=_rank)


def _rank(entry: Entry) -> tuple[float, int, int]:
    account = entry.account
    return account.value, account.running, entry.number
