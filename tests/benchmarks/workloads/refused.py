"""Requests that are refused: a wrong key (401), a model that no grant gives (403), a limit that is reached (429).

nginx refuses by `limit_req`, before anything else is done.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from edge.identity.token import mint
from policies.json import JSON, Object
from tests.benchmarks import nginx, origin, samples
from tests.benchmarks.contenders import Contender, alone
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.samples import Taken
from tests.benchmarks.workloads.pressed import Press

_CONNECTIONS: Final = 32


def measure(plan: Plan, folder: Path) -> Object:
    """A row for nginx, and one for each cause of the gateway's refusal."""
    with (
        origin.running(origin.Pace.AT_ONCE) as port,
        nginx.refusing(folder / "control", port) as control,
        alone(folder, port) as gateway,
    ):
        good = gateway.create_key("good").secret
        spent = gateway.create_key("spent", "--rpm", "1").secret
        door = gateway.address[1]
        contenders = [
            Contender("nginx", control.port, good, lambda: 0),
            Contender("401", door, mint(os.urandom).text, lambda: 0),
            Contender("403", door, good, lambda: 0),
            Contender("429", door, spent, lambda: 0),
        ]
        bodies = {"403": origin.chat(model="another")}

        def pressed(contender: Contender) -> Taken:
            body = bodies.get(contender.name, "")
            return Press(plan, folder, _CONNECTIONS, body=body, refuses=True)(contender)

        taken = interleaved(contenders, plan.rounds, pressed)
    return {"rows": list[JSON](samples.rows(taken, {"connections": _CONNECTIONS})), "notes": []}
