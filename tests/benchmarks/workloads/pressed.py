"""Pressing contenders with wrk: what workloads of whole answers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import load
from tests.benchmarks.contenders import Contender, Meter
from tests.benchmarks.plan import Plan
from tests.benchmarks.samples import Taken

_WARM: Final = 2.0
"""Seconds: until connections stand and caches are filled. (The warm-up of streams is as long as a stream.)"""


@dataclass(frozen=True, slots=True)
class Press:
    """How: `body` "" is the small chat; several `keys` take the place of the contender's; with `refuses` an answer is
    good if it is a refusal. `begun` is called when the measurement begins."""

    plan: Plan
    folder: Path
    connections: int
    body: str = ""
    keys: Sequence[str] = ()
    refuses: bool = False
    begun: Callable[[], None] = lambda: None

    def __call__(self, contender: Contender) -> Taken:
        """One round of it. `cpu_us`: processor time of the contender for one answer."""
        _ = self._press(contender, min(_WARM, self.plan.warm))
        meter = Meter(contender)
        self.begun()
        before = meter.seconds()
        seen = self._press(contender, self.plan.seconds)
        used = meter.seconds() - before
        wrong = seen.answers - seen.refused if self.refuses else seen.refused
        taken = {
            "per_second": seen.per_second,
            "p50_ms": seen.p50_ms,
            "p99_ms": seen.p99_ms,
            "errors": float(wrong + seen.broken),
        }
        return taken | ({"cpu_us": used / seen.answers * 1e6} if used and seen.answers else {})

    def _press(self, contender: Contender, seconds: float) -> load.Load:
        return load.press(
            contender.port,
            self.keys or contender.key,
            self.folder,
            connections=self.connections,
            seconds=seconds,
            body=self.body,
            warm=0,
        )
