"""Large requests: prompts of 64 KiB and 1 MiB, small answers. nginx holds them in memory, as the gateway does."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import origin, samples
from tests.benchmarks.contenders import field
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.workloads.pressed import Press

SIZES: Final = {64: 32, 1024: 8}
"""KiB of the prompt, and connections."""
_LINE: Final = "The quick brown fox, who is 12 years old, jumps over the lazy dog; nobody minds. "


def measure(plan: Plan, folder: Path) -> Object:
    """A row per contender and size."""
    rows: list[JSON] = []
    with origin.running(origin.Pace.AT_ONCE) as port, field(folder, port, peers=True) as found:
        for kib, connections in SIZES.items():
            press = Press(plan, folder, connections, body=body(kib))
            taken = interleaved(found.contenders, plan.rounds, press)
            rows += samples.rows(taken, {"kib": kib, "connections": connections})
    return {"rows": rows, "notes": list[JSON](found.notes)}


def body(kib: int) -> str:
    """A chat whose prompt has so many KiB."""
    text = (_LINE * (kib * 1024 // len(_LINE) + 1))[: kib * 1024]
    return origin.chat(messages=[{"role": "user", "content": text}])
