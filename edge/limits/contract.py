"""The words of the counting layer, and its two seams: `Budget` (amounts in sliding windows) and `Leases` (seats held).

A *subject* is a text that names whose count it is: `key:K1`, `group:dev`, `model:llama3`, `key:K1 model:llama3`. Two
bounds with the same subject, meter and window look at one count. All amounts are whole numbers: requests, tokens,
milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

LARGEST: Final = 10**13
"""Of any amount or bound. The sum of a window's 61 buckets stays far below 2**53, up to which Lua counts exactly."""


class Meter(StrEnum):
    """What is counted. `tokens` is input + output."""

    REQUESTS = "requests"
    INPUT = "input"
    OUTPUT = "output"
    TOKENS = "tokens"
    GPU_MS = "gpu_ms"


READ: Final = frozenset({Meter.INPUT, Meter.TOKENS})
GENERATED: Final = frozenset({Meter.OUTPUT, Meter.TOKENS})
"""What the tokens of a prompt, and those of an answer, are charged to."""
METERS: Final = tuple(Meter)
"""Their order is part of the script's protocol (budget.lua)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A length of time in seconds, counted in `buckets` equal parts; what was spent frees at most one part late."""

    name: str
    seconds: int
    buckets: int = 60

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.buckets <= 0 or self.seconds * 1000 % self.buckets:
            raise ValueError("a window is a positive number of equal buckets of whole milliseconds")

    @property
    def step_ms(self) -> int:
        """The length of one bucket in milliseconds."""
        return self.seconds * 1000 // self.buckets


MINUTE: Final = Window("minute", 60)
HOUR: Final = Window("hour", 3_600)
DAY: Final = Window("day", 86_400)
MONTH: Final = Window("month", 30 * 86_400)
WINDOWS: Final = (MINUTE, HOUR, DAY, MONTH)


@dataclass(frozen=True, slots=True)
class Bound:
    """At most `most` of `meter` for `subject` in any interval of `window`'s length; 0 = suspended, always refused.

    A `shadow` bound counts and never refuses. `name` is what errors, headers and logs call it. Make it once and keep
    it: the key of its count is worked out here.
    """

    subject: str
    meter: Meter
    window: Window
    most: int
    shadow: bool = False
    name: str = ""
    key: str = field(init=False, repr=False, compare=False)
    slot: int = field(init=False, repr=False, compare=False)
    step: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_subject(self.subject)
        if not 0 <= self.most <= LARGEST:
            raise ValueError(f"a bound must be from 0 to {LARGEST}")
        window = self.window
        object.__setattr__(self, "key", f"{window.seconds}/{window.buckets}:{self.meter.value}:{self.subject}")
        object.__setattr__(self, "slot", METERS.index(self.meter))
        object.__setattr__(self, "step", window.step_ms)


@dataclass(slots=True)  # not frozen: that costs three times as much, for each request
class Ask:
    """What one request wants to hold of all its bounds at once.

    `requests`, `input` and `gpu_ms` are held as they are. Of `output` the answer may be granted less, but never less
    than `least`. A bound whose meter is asked for nothing does not refuse (unless suspended), so ask at least 1 of what
    is to be refused once it is used up, GPU milliseconds without an estimate among them.
    """

    bounds: tuple[Bound, ...]
    requests: int = 1
    input: int = 0
    output: int = 0
    least: int = 0
    gpu_ms: int = 0

    def __post_init__(self) -> None:
        _check(self.requests, self.input, self.output, self.gpu_ms)
        if not 0 <= self.least <= self.output:
            raise ValueError("least must be from 0 to output")


class Level(NamedTuple):
    """How full a bound is. `used` may be more than `bound.most`; all of it is free again in `frees_ms`."""

    bound: Bound
    used: int
    frees_ms: int

    @property
    def left(self) -> int:
        """What may still be used; never negative."""
        return max(self.bound.most - self.used, 0)

    @property
    def frees_in(self) -> float:
        """Seconds, as `frees_ms`: what `x-ratelimit-reset-*` means."""
        return self.frees_ms / 1000


class Held(NamedTuple):
    """A hold that was granted: `granted` output tokens, of `room` that all bounds together leave this request (LARGEST:
    none is about them).

    `levels` of all bounds of the ask, in its order, after the hold; `shadowed`: the names of the shadow bounds that
    would have refused. `origin` is the store that counts it.
    """

    id: str
    ask: Ask
    granted: int
    levels: tuple[Level, ...]
    shadowed: tuple[str, ...] = ()
    origin: str = "memory"
    room: int = LARGEST


class Over(NamedTuple):
    """Refused; nothing was held. `bound` is the one with the longest wait. `retry_after`: seconds until enough of it is
    free; None if waiting does not help: it is suspended, or smaller than what was asked for."""

    bound: Bound
    level: Level
    retry_after: float | None


@dataclass(slots=True)  # as Ask
class Actual:
    """What a request really used, in total. `requests`: None = as held; 0 for one that never got to an engine."""

    input: int = 0
    output: int = 0
    gpu_ms: int = 0
    requests: int | None = None

    def __post_init__(self) -> None:
        _check(self.input, self.output, self.gpu_ms, self.requests or 0)


class OnStoreError(StrEnum):
    """What a request gets while Redis is away (fallback.py)."""

    LOCAL = "local"
    DENY = "deny"


class StoreDown(Exception):
    """The store does not answer and the configuration says to deny (`limits.on_store_error: deny`). Make it a 503."""


class Budget(Protocol):
    """Amounts in windows. Every method raises StoreDown where the store is away and nothing may stand in for it,
    except `settle` and `close`, which never raise it."""

    async def hold(self, ask: Ask) -> Held | Over:
        """Hold all that is asked for, or nothing: one atomic step over all bounds."""
        ...

    async def extend(self, held: Held, tokens: int) -> int:
        """Hold more output tokens for a running request; returns how many are granted, 0 to `tokens`."""
        ...

    async def settle(self, held: Held, actual: Actual) -> None:
        """Correct the hold to what was really used: give back, or charge more, even beyond a bound. Once per hold;
        a second time changes nothing. May be awaited in `finally` of a cancelled task."""
        ...

    async def levels(self, bounds: Sequence[Bound]) -> tuple[Level, ...]:
        """How full they are now; takes nothing."""
        ...

    async def close(self) -> None:
        """Give back connections and end what runs in the background."""
        ...


@dataclass(frozen=True, slots=True)
class Seats:
    """At most `most` at once for `subject`; 0 = suspended. A `shadow` one counts and never refuses."""

    subject: str
    most: int
    shadow: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        _check_subject(self.subject)
        if not 0 <= self.most <= LARGEST:
            raise ValueError(f"seats must be from 0 to {LARGEST}")


class Lease(NamedTuple):
    """One seat held of each of `seats`; `shadowed` as in Held."""

    id: str
    seats: tuple[Seats, ...]
    shadowed: tuple[str, ...] = ()
    origin: str = "memory"


class Taken(NamedTuple):
    """How many of `seats.most` are held now; more than these where they are a shadow's, or were lowered meanwhile."""

    seats: Seats
    taken: int


class Full(NamedTuple):
    """No seat, and none was taken: `taken` of `seats.most` are held by others.

    `retry_after`: seconds, a short fixed time, since nobody knows when a seat frees; None = suspended.
    """

    seats: Seats
    taken: int
    retry_after: float | None


class Leases(Protocol):
    """Seats that are held while a request runs. Whoever takes one releases it in `finally`; what a dead process held is
    free after LEASE_MS at the latest. `take` and `taken` raise StoreDown as `Budget.hold` does, the others never."""

    async def take(self, seats: Sequence[Seats]) -> Lease | Full:
        """One seat of each, or none of any."""
        ...

    async def taken(self, seats: Sequence[Seats]) -> tuple[Taken, ...]:
        """How many of each are held now, in the order of `seats`; takes nothing."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give them back at once. A second time changes nothing. May be awaited in `finally` of a cancelled task."""
        ...

    async def renew(self) -> None:
        """Prolong all leases of this process. The store's own loop calls it every RENEW_MS."""
        ...

    async def close(self) -> None:
        """Give back everything, connections too."""
        ...


LEASE_MS: Final = 10_000
RENEW_MS: Final = 3_000
"""Three attempts before a lease runs out."""


def _check_subject(subject: str) -> None:
    # What cannot be sent to Redis must not look like a Redis that is away.
    if not subject or not subject.isprintable():
        raise ValueError("a subject is a text of printable characters")


def _check(*amounts: int) -> None:
    if min(amounts) < 0 or max(amounts) > LARGEST:
        raise ValueError(f"amounts must be from 0 to {LARGEST}")
