"""Bounds, asks and times that hypothesis makes up, small enough to collide."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from edge.limits.contract import DAY, HOUR, LARGEST, METERS, MINUTE, Actual, Ask, Bound, Meter, Window

START = 1_790_000_000_000
"""Milliseconds: some time in 2026."""

SHORT = Window("short", 1, 5)
"""Buckets of 200 ms."""


@dataclass(frozen=True)
class Holding:
    """Hold `ask`."""

    ask: Ask


@dataclass(frozen=True)
class Extending:
    """Extend the hold number `which` (modulo those there are)."""

    which: int
    tokens: int


@dataclass(frozen=True)
class Settling:
    """Settle it."""

    which: int
    actual: Actual


@dataclass(frozen=True)
class Looking:
    """Ask for the levels."""

    bounds: tuple[Bound, ...]


Operation = Holding | Extending | Settling | Looking

amounts = st.one_of(st.integers(0, 60), st.integers(0, 60), st.sampled_from([0, 0, 1, 300, LARGEST]))
mosts = st.one_of(st.integers(0, 150), st.integers(20, 150), st.sampled_from([0, 1, 1_000, LARGEST]))

bounds = st.builds(
    Bound,
    subject=st.sampled_from(["key:a", "key:a", "model:x {odd} name"]),
    meter=st.sampled_from([*METERS, Meter.TOKENS, Meter.OUTPUT]),
    window=st.sampled_from([SHORT, MINUTE, HOUR, DAY]),
    most=mosts,
    shadow=st.sampled_from([False, False, True]),
    name=st.sampled_from(["one", "two", "three"]),
)
pools = st.lists(bounds, min_size=1, max_size=4)
"""The bounds that one history is about: few, so that what it does collides."""


@st.composite
def asks(draw: st.DrawFn, pool: list[Bound] | None = None) -> Ask:
    """Any valid ask of up to six bounds (of `pool`), some of which look at the same count."""
    output = draw(amounts)
    which = bounds if pool is None else st.sampled_from([*pool, *(replace(bound, most=40) for bound in pool)])
    return Ask(
        bounds=tuple(draw(st.lists(which, max_size=6))),
        requests=draw(st.integers(0, 2)),
        input=draw(amounts),
        output=output,
        least=draw(st.integers(0, min(output, 3))),
        gpu_ms=draw(amounts),
    )


actuals = st.builds(
    Actual, input=amounts, output=amounts, gpu_ms=amounts, requests=st.one_of(st.none(), st.integers(0, 3))
)


def operations(pool: list[Bound]) -> st.SearchStrategy[Operation]:
    """Anything one can do with these bounds."""
    return st.one_of(
        st.builds(Holding, asks(pool)),
        st.builds(Holding, asks(pool)),
        st.builds(Extending, st.integers(0, 20), amounts),
        st.builds(Settling, st.integers(0, 20), actuals),
        st.builds(Looking, st.just(tuple(pool))),
    )


pauses = st.one_of(
    st.sampled_from(
        [0, 0, 0, 1, 150, 199, 200, 201, 999, 1_000, 12_345, 59_999, 60_000, 61_000, 3_660_000, 86_400_000, 90_000_000]
    ),
    st.sampled_from([-1, -3_600_000]),
    st.integers(0, 5_000),
)
"""Milliseconds from one operation to the next; some step back."""

histories = pools.flatmap(lambda pool: st.lists(st.tuples(pauses, operations(pool)), min_size=1, max_size=30))


def spend(most: int, window: Window = MINUTE, meter: Meter = Meter.TOKENS, subject: str = "key:a") -> Bound:
    """A bound, in few words."""
    return Bound(subject, meter, window, most, name=f"{subject} {meter.value} per {window.name}")
