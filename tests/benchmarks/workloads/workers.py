"""Two gateways that share a database and count in one Redis, beside one of them alone; a caller for each half.

Four processors and more: both gateways have one of their own. Fewer: they,
Redis, the engine and wrk share what there is.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import load, nginx, origin, samples
from tests.benchmarks.contenders import everything_on, running
from tests.benchmarks.cores import Place, placed, processors
from tests.benchmarks.plan import Plan
from tests.edge.limits.redis_server import running as redis_server
from tests.system.fleet import member
from tests.system.process import Gateway

ENOUGH: Final = 4
"""Processors: two workers, and two for what presses them and answers."""
_CONNECTIONS: Final = 32


def measure(plan: Plan, folder: Path) -> Object:
    """A row for one worker and one for two; `ratio` is of two to one."""
    with ExitStack() as stack:
        port = stack.enter_context(origin.running(origin.Pace.AT_ONCE))
        sink = stack.enter_context(nginx.sink(folder / "sink"))
        with placed(Place.LOAD):
            redis = stack.enter_context(redis_server())
        gateways: list[Gateway] = []
        for name in ("first", "second"):
            database = f"sqlite:///{gateways[0].folder}/home/gateway.db" if gateways else None
            stores: Object = {"redis": redis.url, "database": database}
            gateway = everything_on(folder / name, port, sink.port, stores=stores)
            if gateways:
                (gateway.folder / "home").mkdir(mode=0o700, parents=True)
                shutil.copy(gateways[0].folder / "home" / "pepper", gateway.folder / "home" / "pepper")
            gateways.append(stack.enter_context(running(gateway, Place.ANYWHERE)))
        key = member(gateways, "bench").secret
        ports = [gateway.address[1] for gateway in gateways]
        taken: dict[str, list[dict[str, float]]] = {"1": [], "2": []}
        for _ in range(plan.rounds):
            for name, pressed in (("1", (ports[0], ports[0])), ("2", (ports[0], ports[1]))):
                taken[name].append(_press(pressed, key, folder, plan))
    notes: list[JSON] = []
    if processors() < ENOUGH:
        notes.append(
            f"{processors()} processors, which both workers, Redis, the engine and wrk share: no fair test of two"
        )
    rows = samples.rows(taken, {"connections": _CONNECTIONS, "processors": processors()}, control="1")
    return {"rows": list[JSON](rows), "notes": notes}


def _press(ports: Sequence[int], key: str, folder: Path, plan: Plan) -> dict[str, float]:
    """Half of the connections to each port, at once."""
    seen: list[load.Load] = []

    def half(number: int, port: int) -> None:
        place = folder / f"half{number}"
        place.mkdir(exist_ok=True)
        seen.append(load.press(port, key, place, connections=_CONNECTIONS // 2, seconds=plan.seconds, warm=plan.warm))

    threads = [threading.Thread(target=half, args=each) for each in enumerate(ports)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "per_second": sum(each.per_second for each in seen),
        "p99_ms": max(each.p99_ms for each in seen),
        "errors": float(sum(each.refused + each.broken for each in seen)),
    }
