"""From the command to an open port, and resident memory: when it is up, and at the most under load."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import load, origin, samples
from tests.benchmarks.contenders import Peak, field
from tests.benchmarks.cores import Place
from tests.benchmarks.plan import Plan

_CONNECTIONS: Final = 32
_MIB: Final = 1 << 20


def measure(plan: Plan, folder: Path) -> Object:
    """A row per contender. The state folder is new each time, and each has all processors: nothing presses it."""
    taken: dict[str, list[dict[str, float]]] = {}
    notes: dict[str, None] = {}
    with origin.running(origin.Pace.AT_ONCE) as port:
        for number in range(plan.starts):
            with field(folder / str(number), port, peers=True, place=Place.ANYWHERE) as found:
                notes |= dict.fromkeys(found.notes)
                for contender in found.contenders:
                    if contender.name == samples.DIRECT:
                        continue
                    idle = contender.resident()
                    with Peak(contender.resident) as peak:
                        _ = load.press(
                            contender.port,
                            contender.key,
                            folder,
                            connections=_CONNECTIONS,
                            seconds=plan.seconds,
                            warm=0,
                        )
                    taken.setdefault(contender.name, []).append(
                        {
                            "start_s": contender.started_in,
                            "idle_mib": idle / _MIB,
                            "loaded_mib": peak.value / _MIB,
                        }
                    )
    return {"rows": list[JSON](samples.rows(taken, {})), "notes": list[JSON](notes)}
