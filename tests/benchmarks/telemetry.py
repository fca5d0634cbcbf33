"""What telemetry costs: a finished request in all metrics, and one scrape of a full page.

Processor time of the event loop's thread: what else the machine does is not counted (`page_ms` is by the clock).

`observe`: time per request in the event loop. `scrape`: time for the whole page with a number of series in each of the
large histograms, and the longest time that the event loop was kept from anything else meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from statistics import median
from typing import Final

import uvloop

from edge.admin.metrics import MetricsPage
from observability.metrics import catalogue as names
from observability.metrics.exposition import OPENMETRICS
from observability.metrics.instruments import Mark
from observability.metrics.observer import RequestMetrics
from observability.metrics.registry import Registry
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange, Outcome, Stages, Usage
from policies.input import Shape
from policies.json import Object
from policies.names import canonical
from policies.principal import DEFAULT_SCOPES, Principal

OBSERVE_GOAL: Final = 10.0
"""Microseconds per request."""
STALL_GOAL: Final = 5.0
"""Milliseconds."""
_LARGE: Final = (names.SERVER_DURATION, names.HTTP_DURATION, names.CLIENT_DURATION, names.QUEUE_WAIT, names.TOKEN_USAGE)


def metrics(rounds: int) -> list[Object]:
    """Rows: observing a request, without and with exemplars; pages of 20 and of 2,000 series per histogram."""
    mark = Mark(1.0, "ab" * 16, "cd" * 8)
    rows = [_observe("observe", rounds, lambda _, __: None), _observe("observe, sampled", rounds, lambda _, __: mark)]
    rows[0] |= {"goal": OBSERVE_GOAL, "met": float(str(rows[0]["took"])) <= OBSERVE_GOAL}
    return rows + [uvloop.run(_scrape(series)) for series in (20, names.MOST_SERIES)]


def _observe(way: str, rounds: int, sampled: Callable[[Exchange, float], Mark | None]) -> Object:
    observer = RequestMetrics(Registry(time.time), known=canonical, sampled=sampled)
    exchanges = [_exchange(number) for number in range(64)]
    gc.collect()
    times: list[float] = []
    for _ in range(5):
        began = time.thread_time()
        for number in range(rounds):
            observer.ended(exchanges[number & 63], 1.0)
        times.append((time.thread_time() - began) / rounds * 1e6)
    best = median(times)
    return {"what": way, "took": round(best, 1), "unit": "us", "goal": None, "met": None}


async def _scrape(series: int) -> Object:
    registry = Registry(time.time)
    for family in _LARGE:
        histogram = registry.histogram(family)
        for number in range(series):
            histogram.observe((f"label {number}",) * len(family.labels), 0.5)
    page = MetricsPage(registry, clock=time.monotonic)
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - began)

    watching = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    began = time.perf_counter()
    body = await page.text(OPENMETRICS)
    took = time.perf_counter() - began
    watching.cancel()
    _ = await asyncio.gather(watching, return_exceptions=True)
    return {
        "what": f"scrape, {len(_LARGE)} x {series} series: longest stall",
        "took": round(worst * 1e3, 1),
        "unit": "ms",
        "goal": STALL_GOAL,
        "met": worst * 1e3 <= STALL_GOAL,
        "page_ms": round(took * 1e3, 1),
        "page_bytes": len(body),
    }


def _exchange(number: int) -> Exchange:
    """A streamed answer; eight callers, four models."""
    owner, model = f"owner{number % 8}", f"model{number % 4}"
    exchange = Exchange(f"{number:032x}", Client("127.0.0.1", 1, "local"), "POST", "/v1/chat/completions")
    exchange.principal = Principal(owner, "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES)
    exchange.call = Call(Operation.CHAT, Dialect.OPENAI, model=model, stream=True)
    exchange.shape, exchange.requested, exchange.model = Shape(stream=True), model, model
    exchange.engine, exchange.provider = "dmr", "docker-model-runner"
    exchange.outcome = Outcome(200, finish="stop", usage=Usage(40, 200, 0, "engine"), bytes_in=400, bytes_out=9_000)
    exchange.outcome.gpu_ms = 1_900
    exchange.stages = Stages(1.0, 1.0001, 1.0002, 1.0003, 1.0004, 1.1, 1.1001, 1.4, 3.0, 3.0001)
    return exchange
