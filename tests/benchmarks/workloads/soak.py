"""A long time of everything: streams that end, streams that are left, whole answers; memory and descriptors.

What grows would grow here. The slope is that of the second half: caches, windows and the database's pages fill before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import origin, samples
from tests.benchmarks.contenders import Watch, alone
from tests.benchmarks.plan import Plan
from tests.benchmarks.readers import Asked, Mixed, listen

_STREAMS: Final = 60
_TOKENS: Final = 20
_HOUR: Final = 3600.0
_POINTS: Final = 120


def measure(plan: Plan, folder: Path) -> Object:
    """One row of the gateway, and the `points` (seconds, MiB, descriptors) of which it is made."""
    with (
        origin.running(origin.Pace.EXACT) as port,
        alone(folder, port) as gateway,
    ):
        key = gateway.create_key("bench").secret
        asked = Asked(gateway.address[1], key, origin.chat(stream=True, max_tokens=_TOKENS), _TOKENS)
        mixed = Mixed(origin.chat(max_tokens=_TOKENS), whole_every=4, leave_every=10)
        curve = Curve(lambda: (gateway.resident() / (1 << 20), gateway.descriptors()), plan.soak / _POINTS)
        with curve:
            heard = listen(asked, streams=_STREAMS, warm=plan.warm, seconds=plan.soak, mixed=mixed)
    late = [point for point in curve.points if point[0] >= curve.points[-1][0] / 2]
    taken: dict[str, float] = {
        "answers": float(heard.done),
        "errors": float(heard.errors),
        "mib": late[-1][1],
        "mib_per_hour": samples.slope([(at, mib) for at, mib, _ in late]) * _HOUR,
        "descriptors": late[-1][2],
        "descriptors_per_hour": samples.slope([(at, count) for at, _, count in late]) * _HOUR,
    }
    points: list[JSON] = [[samples.short(value) for value in point] for point in curve.points]
    notes: list[JSON] = [heard.problem] if heard.problem else []
    return {
        "rows": list[JSON](samples.rows({"gateway": [taken]}, {"minutes": plan.soak / 60})),
        "notes": notes,
        "points": points,
    }


class Curve(Watch):
    """`points`: what `read` said while entered, `every` so many seconds, and when."""

    def __init__(self, read: Callable[[], tuple[float, float]], every: float) -> None:
        super().__init__(self._note, every)
        self._read = read
        self._began = time.monotonic()
        self.points: list[tuple[float, float, float]] = []

    def _note(self) -> None:
        self.points.append((time.monotonic() - self._began, *self._read()))
