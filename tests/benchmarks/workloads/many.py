"""100,000 keys and 1,000 grants beside 10 keys and one grant: what that costs a request, a start and the memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from edge.identity.grant import Grant
from edge.identity.store import statements as sql
from edge.identity.store import writing
from edge.identity.store.opening import open_keys
from edge.identity.token import mint
from policies.json import JSON, Object
from tests.benchmarks import load, nginx, origin, samples
from tests.benchmarks.contenders import Contender, everything_on, running
from tests.benchmarks.origin import MODEL
from tests.benchmarks.plan import Plan, interleaved
from tests.benchmarks.samples import Taken
from tests.benchmarks.workloads.pressed import Press

FEW: Final = "few"
MANY: Final = "many"
_FEW_KEYS: Final = 10
_CALLING: Final = 100
"""One key in so many calls; they take turns."""
_FILLING: Final = 90.0
"""Seconds at most in which each key calls once, before anything is measured: decisions are kept."""
_CONNECTIONS: Final = 32


def measure(plan: Plan, folder: Path) -> Object:
    """A row for the gateway with few and for the one with many; `ratio` is of many to few."""
    sizes = {FEW: (_FEW_KEYS, 1), MANY: (plan.keys, plan.grants)}
    with ExitStack() as stack:
        port = stack.enter_context(origin.running(origin.Pace.AT_ONCE))
        sink = stack.enter_context(nginx.sink(folder / "sink"))
        contenders: list[Contender] = []
        calling: dict[str, list[str]] = {}
        once: dict[str, dict[str, float]] = {}
        for name, (keys, grants) in sizes.items():
            policy: Object = {"engine": "embedded", "grants": _grants(grants)}
            gateway = everything_on(folder / name, port, sink.port, policy=policy)
            calling[name] = _made(gateway.folder / "home", keys)[-max(_FEW_KEYS, keys // _CALLING) :]
            stack.enter_context(running(gateway))
            contenders.append(Contender(name, gateway.address[1], calling[name][0], gateway.resident))
            once[name] = _fill(contenders[-1], folder, calling[name])
            once[name] |= {"start_s": gateway.started_in, "mib": gateway.resident() / (1 << 20)}

        def pressed(contender: Contender) -> Taken:
            press = Press(plan, folder, _CONNECTIONS, keys=calling[contender.name])
            return {**press(contender), **once[contender.name]}

        taken = interleaved(contenders, plan.rounds, pressed)
    rows = samples.rows(taken, {"connections": _CONNECTIONS}, control=FEW)
    sized: list[JSON] = [
        {**row, "keys": keys, "grants": grants} for row, (keys, grants) in zip(rows, sizes.values(), strict=True)
    ]
    return {"rows": sized, "notes": []}


def _fill(contender: Contender, folder: Path, keys: Sequence[str]) -> dict[str, float]:
    """Let each key call once, one after the other; `new_p50_ms`: what a first call takes, where there are many."""
    tried = load.press(contender.port, keys, folder, connections=1, seconds=1, warm=0)
    if tried.answers >= len(keys):
        return {}
    seconds = min(_FILLING, 1 + 1.5 * len(keys) / tried.per_second)
    _ = load.press(contender.port, keys, folder, connections=1, seconds=seconds, warm=0)
    return {"new_p50_ms": tried.p50_ms}


def _grants(count: int) -> list[JSON]:
    """The last one is the one that matches."""
    others: list[JSON] = [
        {"id": f"g{number}", "models": [f"model-{number}*"], "groups": [f"group-{number}"]}
        for number in range(count - 1)
    ]
    return [*others, {"id": "bench", "models": [MODEL], "everyone": True}]


def _made(home: Path, count: int) -> list[str]:
    """New keys in the gateway's database, in one transaction: the command line would take an hour."""
    keys, now, tokens = open_keys(home), time.time(), [mint(os.urandom) for _ in range(count)]
    try:
        with keys.database.writing() as connection:
            for number, token in enumerate(tokens):
                writing.add_key(connection, token.id, Grant(f"key-{number}", groups=("dev",)), now)
                writing.add_secret(connection, keys.peppers, token, now)
            connection.execute(sql.BUMP)
    finally:
        keys.database.close()
    return [token.text for token in tokens]
