"""`order` for one of several gateways that share an engine: the same rules, with what the others tell. Pure.

Nobody goes here before the engine's slots, which are counted elsewhere, have one for it. Until then the order bids with
the one who would go (`Bid`). Its rank puts the bids of all gateways in the order in which one line would serve them:

    band, then kind, then service, then who waits longer

A kind is what rule 3 of `order` says of models: nobody behind somebody who is DUE may go, though that one may still
wait for its model; READY ones go before those whose LOAD would drive out another model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Final, NamedTuple

from edge.queue.attained import Account, Attained, Held
from edge.queue.news import BANDS, MOST_ACCOUNTS, News
from edge.queue.order import Entry, Full, Order
from edge.queue.settings import QueueLimits

ASKING: Final = 1.0
"""Seconds that anybody may wait, whatever the settings say: to ask for a slot takes a moment even if all are free."""
HEARD: Final = 3.0
"""Seconds for which what another gateway said of its line is believed; it says so every second (`shared_queue`)."""
_TOLD: Final = 1_000
_GONE: Final = 10_000
_PROMOTED: Final = -1


class Kind(IntEnum):
    """How its model lets somebody go."""

    DUE = 0
    READY = 1
    LOAD = 2


class Rank(NamedTuple):
    """The smaller, the sooner. `service` in weighted tokens of today."""

    band: int
    kind: Kind
    service: float


@dataclass(frozen=True, slots=True)
class Bid:
    """Who would go. `waited` seconds; if it `loads` its model, those in `evicts` have to go."""

    entry: Entry
    rank: Rank
    waited: float
    loads: bool = False
    evicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of the engine as a whole: leases `taken` in all; of the other gateways' (model, whether it is being
    loaded); the loaded models and seconds since each was used."""

    taken: int = 0
    elsewhere: tuple[tuple[str, bool], ...] = ()
    loaded: tuple[tuple[str, float], ...] = ()


class SharedAttained(Attained):
    """Remembers what is to be told, and begins newcomers where those stand who wait elsewhere."""

    def __init__(self, half_life: float) -> None:
        super().__init__(half_life)
        self.turns: deque[tuple[int, str]] = deque(maxlen=_TOLD)
        self.served: dict[str, float] = {}
        self.line: tuple[float | None, ...] = (None,) * BANDS
        """Per band where the least served one stands that waits at another gateway."""
        self.busy = False
        """Whether others serve anybody."""

    def hold(self, held: Held, band: int) -> None:
        """See Attained.hold."""
        super().hold(held, band)
        self.turns.append((band, held.account.caller))
        self._tell(held.account.caller, held.held)

    def hear(self, news: News) -> None:
        """What another gateway charged its callers."""
        for band, caller in news.turns:
            self._level[band] = self.of(caller).value
        for caller, amount in news.served.items():
            account = self.of(caller)
            account.value = max(account.value + amount * self._weight, 0.0)
        for caller, amount in news.accounts.items():
            account = self.of(caller)
            account.value = max(account.value, amount * self._weight)

    def today(self, value: float) -> float:
        """A scaled value in weighted tokens of today."""
        return value / self._weight

    def largest(self) -> dict[str, float]:
        """The callers served most."""
        accounts = sorted(self._accounts.values(), key=lambda account: -account.value)[:MOST_ACCOUNTS]
        return {account.caller: self.today(account.value) for account in accounts if account.value}

    def _least(self, account: Account, band: int, waiting: Iterable[Account]) -> float:
        stands = list(waiting)
        elsewhere = self.line[band]
        if elsewhere is not None:
            return min([elsewhere * self._weight, *(other.value for other in stands)])
        if self.busy and not stands:  # nobody tells how much those were served; who was the last to begin is known
            return self._level.get(band, 0.0)
        return super()._least(account, band, stands)

    def _settle(self, held: Held) -> None:
        before = held.account.value
        super()._settle(held)
        self._tell(held.account.caller, self.today(held.account.value - before))

    def _tell(self, caller: str, amount: float) -> None:
        if caller in self.served or len(self.served) < _TOLD:
            self.served[caller] = self.served.get(caller, 0.0) + amount


class SharedOrder(Order):
    """`name` begins the names of its leases. `live`: the lease of each turn; `gone`: leases to give back, and whether
    the engine answered."""

    def __init__(self, limits: QueueLimits, models: int | None, name: str, engine: str) -> None:
        self._shared = SharedAttained(limits.half_life)
        super().__init__(0, limits, models, self._shared)
        self.name: Final = name
        self.engine: Final = engine
        self.live: dict[Entry, str] = {}
        self.gone: deque[tuple[str, bool]] = deque(maxlen=_GONE)
        self._ids = count(1)
        self._in_hand: str | None = None
        self._alone = 0
        self._others: dict[str, tuple[float, News]] = {}

    # -- bidding -----------------------------------------------------------------------------------------------------

    def lease(self) -> str:
        """A name for a lease that nobody had yet."""
        return f"{self.name}-{next(self._ids)}"

    def bid(self, now: float) -> Bid | None:
        """Who would go, if there were a slot."""
        if not self._waiting:
            return None
        entry = self._pick(now)
        kind = Kind.DUE
        if entry is not None:
            kind = self._kind(entry, now)
        elif (entry := self._stuck(now)) is None:
            return None
        band = _PROMOTED if self._skipped[entry.band] >= self._limits.band_turns else entry.band
        rank = Rank(band, kind, self._shared.today(entry.account.value))
        loads = self.models.swaps and not self.models.ready(entry.model, now)
        return Bid(entry, rank, now - entry.joined, loads, tuple(self.models.makes_room(entry.model)) if loads else ())

    def keeps(self, won: Bid, now: float) -> bool:
        """Whether the slot that `won` asked for suits who would go now: the same one, or another as good."""
        bid = self.bid(now)
        if bid is None or bid.loads != won.loads or (self.models.swaps and bid.entry.model != won.entry.model):
            return False
        return bid.entry is won.entry or bid.rank <= won.rank

    def hand(self, lease: str) -> None:
        """A slot, for whomever `next` gives it to; it is given back if that is nobody."""
        self._in_hand = lease
        self._fit()

    def alone(self, slots: int) -> None:
        """From now on hand out so many slots without asking; 0 = ask again."""
        self._alone = slots
        self._fit()

    def next(self, now: float) -> list[Entry]:
        """See Order.next."""
        went = super().next(now)
        if self._in_hand is not None:
            self.gone.append((self._in_hand, False))
            self._in_hand = None
            self._fit()
        return went

    # -- hearing and telling -----------------------------------------------------------------------------------------

    @property
    def served_elsewhere(self) -> int:
        """Requests that the others have running, as far as they told."""
        return sum(news.running for _, news in self._others.values())

    def look(self, sight: Sight, now: float) -> bool:
        """Take over what is loaded and answering; True if a load began or ended elsewhere."""
        if not self.models.swaps:
            return False
        before = self.models.loading
        own = [(entry.model, entry.loads) for entry in self.live]
        running = [*own, *sight.elsewhere]
        loading = next((model for model, loads in running if loads), None)
        used = {model: now - age for model, age in sight.loaded}
        used |= {model: now for model, loads in own if not loads}
        if loading is not None:
            used.pop(loading, None)
        if before not in {None, loading}:
            self._loaded(before or "", now)
        self.models.replace((model for model, _ in running), loading, used)
        if loading not in {None, before}:
            self._load_began = now
        for model in [model for model in self._passed if model == loading or self.models.ready(model, now)]:
            del self._passed[model]
        return loading != before

    def hear(self, news: News, now: float) -> None:
        """Take over what another gateway did."""
        self._age(now)
        self._shared.hear(news)
        for band, _ in news.turns:
            self._count_bands(band)
        self._others[news.sender] = now, news
        self._forget(now)

    def news(self, now: float, *, hello: bool = False, accounts: bool = False) -> News:
        """What there is to tell; what it holds is not told again."""
        self._age(now)
        turns, served = tuple(self._shared.turns), dict(self._shared.served)
        self._shared.turns.clear()
        self._shared.served.clear()
        line = tuple(
            min((self._shared.today(entry.account.value) for entry in band), default=None) for band in self._bands
        )
        largest = self._shared.largest() if accounts else {}
        return News(self.name, self.engine, turns, served, self.running, line, largest, hello=hello)

    @property
    def has_news(self) -> bool:
        """Whether anything has happened that was not told."""
        return bool(self._shared.turns or self._shared.served)

    # -- the order's own ---------------------------------------------------------------------------------------------

    def join(self, entry: Entry, now: float) -> Full | None:
        """See Order.join."""
        self._forget(now)
        return super().join(entry, now)

    def deadline(self, entry: Entry) -> float:
        """See Order.deadline."""
        return max(super().deadline(entry), entry.joined + ASKING)

    def _kind(self, entry: Entry, now: float) -> Kind:
        models = self.models
        if models.ready(entry.model, now) or models.has_room(now):
            return Kind.READY
        return Kind.DUE if self._is_due(entry, now) else Kind.LOAD

    def _stuck(self, now: float) -> Entry | None:
        """Who is due and waits for answers to end before its model can be loaded."""
        head = self._head()
        head = self._overdue(head, now) or head
        return head if self.models.loading is None and self._is_due(head, now) else None

    def _is_due(self, entry: Entry, now: float) -> bool:
        return now - self._passed.get(entry.model, now) >= self._limits.passed_over

    def _grant(self, entry: Entry, now: float) -> None:
        super()._grant(entry, now)
        self.live[entry] = self._in_hand or self.lease()
        self._in_hand = None
        self._fit()

    def _release(self, entry: Entry, now: float, *, served: bool) -> None:
        super()._release(entry, now, served=served)
        self.gone.append((self.live.pop(entry), served))
        self._fit()

    def _fit(self) -> None:
        """Slots here are those that are granted."""
        self.slots = self._alone or self.running + (self._in_hand is not None)

    def _age(self, now: float) -> None:
        """As `Order._age`, while nobody waits anywhere."""
        if any(news.waits and now - heard < HEARD for heard, news in self._others.values()):
            self._aged = now
        super()._age(now)

    def _forget(self, now: float) -> None:
        """Believe nobody who has been silent for long, and keep what the others say of their lines at hand."""
        for sender in [sender for sender, (heard, _) in self._others.items() if now - heard >= HEARD]:
            del self._others[sender]
        lines = [news.line for _, news in self._others.values()]
        self._shared.line = tuple(
            min((least for line in lines if (least := line[band]) is not None), default=None) for band in range(BANDS)
        )
        self._shared.busy = self.served_elsewhere > 0
