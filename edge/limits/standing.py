"""How full everything is that holds for a caller, and what holds for it with single models besides: for `/v1/me`.

All windows are read in one step, and all seats in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from edge.limits.contract import Bound, Budget, Leases, Level, Seats, Taken
from edge.limits.rules import Applying, Asking, Rules

MOST_MODELS: Final = 50
"""Models with limits of their own that are looked at: what one GET costs the store must not grow with a catalogue."""


class Filled(NamedTuple):
    """Limits over time, and limits of requests at once."""

    windows: tuple[Level, ...]
    seats: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """`all`: what holds for the caller whatever model it asks for. `models`: what else holds for one, by canonical
    name, in the order asked for; `left_out`: how many more have limits of their own."""

    all: Filled
    models: tuple[tuple[str, Filled], ...] = ()
    left_out: int = 0


async def standing(
    rules: Rules, budget: Budget, leases: Leases, asking: Asking, models: Sequence[str], *, now: float
) -> Standing:
    """Look; takes nothing. `asking` names no model; `now` is seconds since the epoch. StoreDown."""
    general = _named(rules.applying(asking, now))
    single = [(model, _named(rules.applying(replace(asking, model=model), now))) for model in dict.fromkeys(models)]
    extra = [(model, own) for model, each in single if any(own := _beside(each, general))]
    shown = extra[:MOST_MODELS]
    wanted = [general, *(each for _, each in shown)]
    bounds = list(dict.fromkeys(bound for each in wanted for bound in each.bounds))
    seats = list(dict.fromkeys(seat for each in wanted for seat in each.seats))
    levels = dict(zip(bounds, await budget.levels(bounds), strict=True))
    taken = dict(zip(seats, await leases.taken(seats), strict=True))

    def filled(these: _Limits) -> Filled:
        return Filled(tuple(levels[bound] for bound in these.bounds), tuple(taken[seat] for seat in these.seats))

    return Standing(filled(general), tuple((model, filled(each)) for model, each in shown), len(extra) - len(shown))


class _Limits(NamedTuple):
    bounds: tuple[Bound, ...]
    seats: tuple[Seats, ...]


def _named(applying: Applying) -> _Limits:
    """What callers are told of: what only counts has no name."""
    return _Limits(tuple(bound for bound in applying.bounds if bound.name), applying.seats)


def _beside(own: _Limits, general: _Limits) -> _Limits:
    return _Limits(
        tuple(bound for bound in own.bounds if bound not in general.bounds),
        tuple(seat for seat in own.seats if seat not in general.seats),
    )
