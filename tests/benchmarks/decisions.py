"""What one policy decision costs: kept, by the embedded engine's child, by an `opa` child; and a whole one, recorded.

The same policy (the default one, with grants) and the same questions for all, one after the other on one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Final

from edge.policy.enforcement import Asked, Enforcement
from edge.policy.surroundings import Surroundings
from observability.decisions.log import DecisionLog
from observability.decisions.settings import DecisionLogSettings
from policies.bundle import Bundle
from policies.call import Dialect, Operation
from policies.decision import Abilities
from policies.embedded.workshop import Reads, inspect
from policies.exchange import Client, Exchange
from policies.grants import Grant, policy_data
from policies.json import Object
from policies.opa.engine import ChildEngine
from policies.opa.programs import Program, embedded, opa
from policies.pdp import DecisionPoint
from policies.principal import DEFAULT_SCOPES, Principal
from policies.rego import default_bundle
from tests.policies.asking import question
from tests.system.opa import OPA

GOALS: Final = {"cached": 10.0, "embedded": 1_000.0, "opa": 2_000.0}
"""Microseconds, p50."""
_MEMORY: Final = 256 << 20
_CALLER: Final = Principal("ann", "k1", "laptop", "key", frozenset({"dev"}), DEFAULT_SCOPES)
_QUESTION: Final = question(_CALLER)
_Measure = Callable[[int], Awaitable[object]]


def measure(folder: Path, rounds: int) -> list[Object]:
    """One row per way to decide: microseconds p50 and p99, and whether the goal is met."""
    return asyncio.run(_measure(folder, rounds))


def policy(grants: int) -> Bundle:
    """The default policy with so many grants, of which one matches."""
    others = [Grant(f"g{number}", (f"model-{number}*",), groups=(f"group-{number}",)) for number in range(grants - 1)]
    return default_bundle(policy_data([*others, Grant("dev", ("qwen*", "tiny"), groups=("dev",), max_tokens=2048)]))


async def _measure(folder: Path, rounds: int) -> list[Object]:
    found: list[Object] = []
    for grants in (2, 50):
        bundle = policy(grants)
        inspection = await inspect(bundle)
        if not inspection.ok or inspection.reads.whole or inspection.reads.volatile:
            raise RuntimeError("the default policy cannot be cached")
        for program in (embedded(decision_seconds=1.0, memory_bytes=_MEMORY), opa(OPA, memory_bytes=_MEMORY)):
            rows = await _engine(program, bundle, inspection.reads, rounds, folder / str(grants))
            found += [{"grants": grants, **row} for row in rows]
    return found


async def _engine(program: Program, bundle: Bundle, reads: Reads, rounds: int, folder: Path) -> list[Object]:
    engine = ChildEngine(program, bundle, timeout=5.0)
    await engine.start()
    try:
        point = DecisionPoint(engine, clock=time.perf_counter)
        rows = [_row(program.kind, await _times(lambda number: point.ask(_question(number)), rounds))]
        if program.kind != "embedded":
            return rows
        point.cache_on(reads.paths)
        rows.append(_row("cached", await _times(lambda _: point.ask(_question(0)), rounds * 10)))
        rows.append(_row("cached, whole", await _times(_whole(point, folder), rounds * 10)))
        return rows
    finally:
        await engine.close()


def _question(number: int) -> Object:
    """The document as the line makes it for each request; to make it is part of what a decision costs."""
    document = _QUESTION.document()
    document["id"] = str(number)
    return document


def _whole(point: DecisionPoint, folder: Path) -> _Measure:
    """The enforcement point as the line uses it: build the question, judge the answer, record the decision."""
    log = DecisionLog(folder, DecisionLogSettings())
    enforcement = Enforcement(point, log, Surroundings({}, {}, zone="UTC"), Abilities())
    asked = Asked(Operation.CHAT, Dialect.OPENAI, "tiny")
    client = Client("127.0.0.1", 1, "local")
    return lambda number: enforcement.permit(Exchange(f"{number:032x}", client, "POST"), _CALLER, asked, str)


async def _times(ask: _Measure, rounds: int) -> list[float]:
    times: list[float] = []
    for number in range(rounds):
        began = time.perf_counter()
        _ = await ask(number)
        times.append((time.perf_counter() - began) * 1e6)
        if number % 50 == 0:
            await asyncio.sleep(0.001)  # as between requests: the log's thread gets its turn
    return sorted(times[rounds // 10 :])


def _row(way: str, times: list[float]) -> Object:
    p50 = median(times)
    goal = GOALS.get(way)
    return {
        "way": way,
        "p50_us": round(p50, 1),
        "p99_us": round(times[int(len(times) * 0.99)], 1),
        "goal_us": goal,
        "met": None if goal is None else p50 <= goal,
    }
