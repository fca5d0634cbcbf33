"""What telemetry costs a request: its place in a trace, its metrics, its spans, and their way to a collector.

`cpu_us`: process time per request, of all threads, less what making the request itself takes; the collector is another
process. Requests come no faster than they are sent, so that nothing is dropped, but where the collector hangs.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Final

import uvloop

from edge.config.telemetry import Telemetry as Settings
from edge.exporting import Exporting
from edge.tasks import Tasks
from edge.telemetry import mark
from observability.ids import new_id
from observability.metrics.observer import RequestMetrics
from observability.metrics.registry import Registry
from observability.observers import Observers
from observability.traces.trust import NOBODY
from policies.exchange import Exchange
from policies.json import Object
from tests.observability.traces.exchanges import served

GOALS: Final = {"1 %": 40.0, "all": 150.0}
"""Microseconds per request."""
_RATIOS: Final = {"1 %": 0.01, "all": 1.0}
_HEADERS: Final = {"user-agent": "curl/8", "content-type": "application/json"}
_STEP: Final = 64
_COLLECTOR: Final = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode("latin-1").lower()
            if "transfer-encoding" in head:
                await reader.readuntil(b"0\\r\\n\\r\\n")
            else:
                await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))
            if sys.argv[1] == "hang":
                await asyncio.sleep(1000)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def measure(rounds: int) -> list[Object]:
    """A row for each: 1 % and all of the traces, to a collector that takes them and to one that hangs."""
    gc.collect()
    gc.freeze()
    try:
        return [_measure(share, manner, rounds) for share in GOALS for manner in ("take", "hang")]
    finally:
        gc.unfreeze()


def _measure(share: str, manner: str, rounds: int) -> Object:
    with subprocess.Popen((sys.executable, "-c", _COLLECTOR, manner), stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        url = f"http://127.0.0.1:{int(collector.stdout.readline())}"
        cost, lost = uvloop.run(_cost(url, _RATIOS[share], rounds))
        collector.kill()
    goal = GOALS[share]
    way = f"{share} sampled, the collector {manner}s"
    return {"way": way, "cpu_us": round(cost, 1), "goal_us": goal, "met": cost <= goal, "dropped": lost}


async def _cost(url: str, ratio: float, rounds: int) -> tuple[float, float]:
    """Microseconds per request, and how many traces were dropped."""
    tasks = Tasks()
    registry = Registry(time.time)
    exporting = Exporting(Settings(otlp=url, sample=ratio), url, registry, tasks, version="0")
    try:
        observers = Observers([*exporting.observers(), RequestMetrics(registry, known=str, sampled=mark)])

        def whole(exchange: Exchange) -> None:
            exporting.tracer.place(exchange, _HEADERS, NOBODY)
            observers.ended(exchange, time.time())

        costs: list[float] = []
        for _ in range(5):
            bare = await _run(lambda _: None, rounds)
            costs.append(await _run(whole, rounds) - bare)
        return median(costs), sum(count for (signal,), count in exporting.dropped() if signal == "traces")
    finally:
        await tasks.close()
        await exporting.close()


async def _run(work: Callable[[Exchange], None], rounds: int) -> float:
    """Microseconds of CPU per request."""
    example = served()
    began = time.process_time()
    for number in range(rounds):
        exchange = Exchange(new_id(os.urandom), example.client, "POST", example.route, example.principal, example.call)
        exchange.permit, exchange.stages, exchange.outcome = example.permit, example.stages, example.outcome
        exchange.shape = example.shape
        exchange.requested, exchange.model, exchange.engine = "Tiny", "tiny", "box"
        exchange.revision, exchange.agent, exchange.provider = "r1", "curl", "vllm"
        work(exchange)
        if number % _STEP == 0:
            await asyncio.sleep(_STEP / 4_000)  # 4,000 requests a second at most, as many as a gateway serves
    return (time.process_time() - began) * 1e6 / rounds
