"""How much is measured, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.contenders import Contender
from tests.benchmarks.samples import Taken


@dataclass(frozen=True, slots=True)
class Plan:
    """`seconds` of wrk's load and of streams, after `warm`; `rounds` of all contenders. And of what else there is:
    `starts`, decisions and chunks of the parts, `held` idle streams, keys, grants, seconds of the `soak`."""

    rounds: int
    seconds: float
    warm: float
    streams: tuple[int, ...] = (1, 200, 1000)
    connections: tuple[int, ...] = (1, 32, 256)
    held: int = 10_000
    keys: int = 100_000
    grants: int = 1_000
    starts: int = 5
    decisions: int = 5_000
    chunks: int = 20_000
    soak: float = 3600.0


FULL = Plan(rounds=5, seconds=8, warm=5)
QUICK = Plan(rounds=2, seconds=2, warm=2, held=500, keys=10_000, starts=2, decisions=1_000, chunks=4_000, soak=20)


def interleaved(
    contenders: Sequence[Contender], rounds: int, measure: Callable[[Contender], Taken]
) -> dict[str, list[Taken]]:
    """What `measure` took of each contender in each round. Each round begins with another one, so that none is always
    the one behind the same neighbour."""
    taken: dict[str, list[Taken]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            taken[contender.name].append(measure(contender))
    return taken
