"""A small chat, answered at once and whole, over 1, 32 and 256 connections."""

from __future__ import annotations

from pathlib import Path

from policies.json import JSON, Object
from tests.benchmarks import origin, samples
from tests.benchmarks.contenders import field
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.workloads.pressed import Press


def measure(plan: Plan, folder: Path) -> Object:
    """A row per contender and number of connections."""
    rows: list[JSON] = []
    with origin.running(origin.Pace.AT_ONCE) as port, field(folder, port, peers=True) as found:
        for connections in plan.connections:
            taken = interleaved(found.contenders, plan.rounds, Press(plan, folder, connections))
            rows += samples.rows(taken, {"connections": connections})
    return {"rows": rows, "notes": list[JSON](found.notes)}
