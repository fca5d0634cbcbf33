"""Requests that are refused: a wrong key (401), a model that no grant gives (403), a limit that is reached (429).

nginx refuses by `limit_req`, before anything else is done.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from edge.identity.token import mint
from policies.json import JSON, Object
from tests.benchmarks import nginx, samples
from tests.benchmarks.contenders import Contender, everything_on, running
from tests.benchmarks.origin import chat
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.samples import Taken
from tests.benchmarks.workloads.pressed import Press

_CONNECTIONS: Final = 32


def measure(plan: Plan, folder: Path) -> Object:
    """A row for nginx, and one for each cause of the gateway's refusal."""
    with (
        nginx.origin(folder / "origin") as origin,
        nginx.sink(folder / "sink") as sink,
        nginx.refusing(folder / "control", origin.port) as control,
        running(everything_on(folder / "gateway", origin.port, sink.port)) as gateway,
    ):
        good = gateway.create_key("good").secret
        spent = gateway.create_key("spent", "--rpm", "1").secret
        port = gateway.address[1]
        contenders = [
            Contender("nginx", control.port, good, lambda: 0),
            Contender("401", port, mint(os.urandom).text, lambda: 0),
            Contender("403", port, good, lambda: 0),
            Contender("429", port, spent, lambda: 0),
        ]
        bodies = {"403": chat(model="another")}

        def pressed(contender: Contender) -> Taken:
            body = bodies.get(contender.name, "")
            return Press(plan, folder, _CONNECTIONS, body=body, refuses=True)(contender)

        taken = interleaved(contenders, plan.rounds, pressed)
    return {"rows": list[JSON](samples.rows(taken, {"connections": _CONNECTIONS})), "notes": []}
