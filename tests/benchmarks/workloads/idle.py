"""Streams that have begun and say nothing: what each takes of the memory, and how many can be held."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import machine, origin, samples
from tests.benchmarks.contenders import Contender, field
from tests.benchmarks.plan import Plan
from tests.benchmarks.readers import Asked, holding
from tests.system.process import until

_SPARE: Final = 400
"""Descriptors of a gateway that are no stream's."""
_RATE: Final = 400.0
"""Streams opened per second."""
_SETTLED: Final = 256 * 1024
"""Bytes by which resident memory may still move when it counts as settled."""


def measure(plan: Plan, folder: Path) -> Object:
    """A row for nginx and one for the gateway."""
    streams = min(plan.held, (machine.open_files() - _SPARE) // 2)
    notes: list[JSON] = []
    if streams < plan.held:
        notes.append(
            f"{streams:,} of {plan.held:,}: each takes two descriptors, and this machine gives a process no more"
        )
    rows: list[JSON] = []
    room = 2 * (streams + _SPARE) * 9 // 8  # nginx closes idle connections when a sixteenth of them is left
    with origin.running(origin.Pace.HOLD) as port, field(folder, port, connections=room) as found:
        for contender in found.contenders:
            if contender.name == samples.DIRECT:
                continue
            taken = _held(contender, streams, notes)
            rows += samples.rows({contender.name: [taken]}, {"streams": streams})
    return {"rows": rows, "notes": notes}


def _held(contender: Contender, streams: int, notes: list[JSON]) -> dict[str, float]:
    asked = Asked(contender.port, contender.key, origin.chat(stream=True))
    with holding(asked, streams=min(10, streams), rate=_RATE):
        pass  # what the first streams load belongs to no stream
    before = _resident(contender)
    with holding(asked, streams=streams, rate=_RATE) as held:
        grown = _resident(contender) - before
    if held.problem:
        notes.append(f"{contender.name}: {held.problem}")
    return {
        "held": float(held.open - held.lost),
        "failed": float(held.failed + held.lost),
        "kib_each": grown / 1024 / max(1, held.open),
        "mib": (before + grown) / (1 << 20),
    }


def _resident(contender: Contender) -> int:
    """Its memory, once it keeps still."""
    seen = [contender.resident()]

    def settled() -> bool:
        seen.append(contender.resident())
        return abs(seen[-1] - seen[-2]) < _SETTLED

    _ = until(settled, 10.0, "memory keeps still")
    return seen[-1]
