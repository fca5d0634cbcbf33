"""What several rounds of several contenders amount to. Pure.

A `Taken` is what one contender gave in one round: measures by name. Differences to the direct way and ratios to nginx
are made within a round, where both saw the same machine, and then summed up like everything else: median, and the
smallest and largest as the spread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final, TypeAlias

from policies.json import JSON, Object, as_object

Taken: TypeAlias = Mapping[str, float]
_Of: TypeAlias = Callable[[float, float], float | None]
DIRECT: Final = "direct"
CONTROL: Final = "nginx"
_DIGITS: Final = 5


def rows(taken: Mapping[str, Sequence[Taken]], setting: Object, *, control: str = CONTROL) -> list[Object]:
    """A row per contender: `setting`, its measures, and if they were there what it `added` to the direct way and its
    `ratio` to the control."""
    found: list[Object] = []
    for contender, rounds in taken.items():
        row: Object = {"contender": contender, **setting, "measures": summary(rounds)}
        if DIRECT in taken:
            row["added"] = summary(_paired(rounds, taken[DIRECT], lambda mine, theirs: mine - theirs))
        if control in taken:
            row["ratio"] = summary(
                _paired(rounds, taken[control], lambda mine, theirs: mine / theirs if theirs else None)
            )
        found.append(row)
    return found


def summary(rounds: Sequence[Taken]) -> Object:
    """Of each measure that any round has: median, min and max."""
    names = dict.fromkeys(name for taken in rounds for name in taken)
    return {name: spread([taken[name] for taken in rounds if name in taken]) for name in names}


def spread(values: Sequence[float]) -> Object:
    """Median, smallest and largest of at least one value."""
    return {"median": short(median(values)), "min": short(min(values)), "max": short(max(values))}


def short(value: float) -> float:
    """With as many digits as mean something."""
    return float(f"{value:.{_DIGITS}g}")


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the straight line that fits best; 0 for fewer than two instants."""
    if len({at for at, _ in points}) < 2:
        return 0.0
    middle = sum(at for at, _ in points) / len(points)
    level = sum(value for _, value in points) / len(points)
    rise = sum((at - middle) * (value - level) for at, value in points)
    return rise / sum((at - middle) ** 2 for at, _ in points)


def value_of(row: Object, path: str) -> float | None:
    """The median at `group.measure` of a row, e.g. `ratio.per_second`; None if it has none."""
    group, _, name = path.partition(".")
    return number(as_object(as_object(row.get(group)).get(name)).get("median"))


def number(value: JSON) -> float | None:
    """`value` if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def find(workload: Object, contender: str, setting: Object) -> Object | None:
    """The row of `contender` with that setting."""
    listed = workload.get("rows")
    for row in map(as_object, listed if isinstance(listed, list) else ()):
        if row.get("contender") == contender and all(row.get(name) == value for name, value in setting.items()):
            return row
    return None


def _paired(rounds: Sequence[Taken], others: Sequence[Taken], of: _Of) -> list[dict[str, float]]:
    pairs = [
        {name: of(mine[name], theirs[name]) for name in mine if name in theirs}
        for mine, theirs in zip(rounds, others, strict=False)
    ]
    return [{name: value for name, value in pair.items() if value is not None} for pair in pairs]
