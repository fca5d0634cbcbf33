"""Requests whose every text is made up by strangers, through all that is told of them: series and memory stay bounded.

LLM_GATEWAY_HOSTILE_REQUESTS=1000000 for the full run (two minutes). Each comes with a model, a path, a method, a
User-Agent and a trace context that no other has, one in eight from an owner that nobody has seen.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from types import SimpleNamespace
from typing import Final, cast

import psutil
import pytest

from edge.fleet import Fleet
from edge.identity.token import redact
from edge.intake.routes import Routes
from edge.telemetry import KnownNames, mark
from engines.catalogue import Catalogue
from engines.contract import Engine, Kind, Model
from observability.agents import family
from observability.live.filters import Filter
from observability.live.watching import Watchers
from observability.metrics.catalogue import CALLER, CATALOGUE, MOST_SERIES, REQUESTS
from observability.metrics.exposition import OPENMETRICS, blocks
from observability.metrics.observer import RequestMetrics
from observability.metrics.registry import Registry
from observability.observers import Observers
from observability.otlp.backlog import Backlog
from observability.otlp.logs import logs_message
from observability.otlp.metrics import metrics_message
from observability.otlp.records import LogRecords, Record
from observability.otlp.resource import Resource
from observability.otlp.traces import trace_message
from observability.traces.spans import Span
from observability.traces.tracer import Sampling, Tracer
from observability.traces.trust import ListenerTrace, Trust
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange, Outcome, Stages, Usage
from policies.input import Shape
from policies.json import Object
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import CAUSES, Reason

SIZE: Final = int(os.environ.get("LLM_GATEWAY_HOSTILE_REQUESTS", "20000"))
BATCH: Final = 128
FULL: Final = MOST_SERIES + MOST_SERIES // 4 + 1
"""Series of a family with owners: those of which each has its own, a quarter for those without who, and `_other`."""
CLOSED: Final = 1_000
"""Series of a family without owners: methods, routes, reasons, our models."""
PER_SERIES: Final = 24
"""Blocks of memory at most: a histogram's buckets, labels and exemplars."""
RESOURCE: Final = Resource("1", "i" * 32, 1)
ENGINE: Final = Engine("box", Kind.VLLM, "http://127.0.0.1:1", 1)
TRUSTED: Final = ListenerTrace(Trust.AUTHENTICATED)
ROUTES: Final = Routes()
PATHS: Final = ("/v1/models/{}", "/engines/e{}/v1/models", "/engines/{}/v1/chat/completions", "/{}", "/v1/me?{}")
AGENTS: Final = ("canary{}", "curl/{}", "Mozilla/{}", "OpenAI/Python {}", "x" * 300 + "{}")
OURS: Final = "AI/Tiny:latest"
MODELS: Final = ("canary{}", "org/canary-{}:q4", 'canary{}\n"\\\x00', "lgw_canary{}", "canary{0}" * 40, OURS)
CONTEXTS: Final = ("00-{0:032x}-{0:016x}-01", "00-{0:032x}-{0:016x}-00", "canary{0}", "ff-{0:032x}-{0:016x}-01", "")
REASONS: Final = tuple(Reason)


class Telemetry:
    """All that is told of a request that is over, as the gateway puts it together; what is kept is written and gone."""

    def __init__(self) -> None:
        catalogue = Catalogue([(ENGINE, [Model("tiny", "tiny")])], {"gpt": "tiny"})
        self.registry = Registry(time.time)
        self.traces: Backlog[list[Span]] = Backlog(2_048, BATCH)
        self.records: Backlog[Record] = Backlog(2_048, BATCH)
        sampling = Sampling(ratio=0.01, rate=1_000_000.0)  # no limit: what is kept is the test's load
        self.tracer = Tracer(sampling, self.traces.put, randomness=os.urandom, clock=time.monotonic)
        logs = LogRecords(self.records.put, rate=1_000_000.0, clock=time.monotonic)
        known = KnownNames(cast(Fleet, SimpleNamespace(catalogue=catalogue)))
        self.observers = Observers(
            [self.tracer, logs, RequestMetrics(self.registry, known=known, sampled=mark)],
        )
        self.watchers = Watchers(self.observers.add)

    async def tell(self, exchange: Exchange, headers: dict[str, str]) -> None:
        self.tracer.place(exchange, headers, TRUSTED)
        self.observers.ended(exchange, 1_700_000_000.0)
        if self.traces.full or self.records.full:
            await self.send()

    async def send(self) -> None:
        """What the lanes do, but for the connection."""
        assert trace_message(await self.traces.take(), RESOURCE).SerializeToString()
        assert logs_message(await self.records.take(), RESOURCE).SerializeToString()

    def series(self) -> dict[str, int]:
        return {each.family.name: len(each.points) for each in self.registry.snapshots()}


def hostile(source: random.Random, number: int) -> tuple[Exchange, dict[str, str]]:
    """Request `number`, as the line would have it at its end, and its headers."""
    choose = source.choice
    method = choose(("GET", "POST", f"BREW{number}"))
    exchange = Exchange(f"{number:032x}", Client(f"10.{number % 251}.0.1", number % 65_536, "lan"), method)
    exchange.agent = family(choose(AGENTS).format(number))
    exchange.stages = Stages(accepted=10.0, done=10.0 + source.expovariate(1.0))
    if source.random() < 0.5:
        owner = f"owner{number}" if number % 4 == 0 else f"owner{number % 50}"
        exchange.principal = Principal(owner, f"key{number}", "n", "jwt", frozenset(), DEFAULT_SCOPES)
    route = ROUTES.match(method, choose(PATHS).format(f"canary{number}"))
    exchange.route = "" if route is None else route.pattern
    if exchange.principal is not None and source.random() < 0.8:
        _ask(exchange, source, choose(MODELS).format(number))
    if exchange.engine == "":
        reason = choose(REASONS)
        exchange.outcome = Outcome(CAUSES[reason].status, reason, detail=f"canary{number}", finish=f"canary{number}")
    return exchange, {
        "traceparent": choose(CONTEXTS).format(number + 1),
        "tracestate": f"canary={number}",
        "baggage": f"canary={number}",
    }


def _ask(exchange: Exchange, source: random.Random, model: str) -> None:
    """It names a model; one of them we have."""
    exchange.route = "/v1/chat/completions"
    operation = source.choice((Operation.CHAT, Operation.EMBEDDINGS))
    body: Object = {"messages": model}
    exchange.call = Call(operation, Dialect.OPENAI, model=model, stream=True, ignored=(model,), body=body)
    exchange.shape, exchange.requested = Shape(stream=True), redact(model)
    if model != OURS:
        return
    exchange.model, exchange.engine, exchange.provider = "tiny", "box", "vllm"
    done = exchange.stages.done
    exchange.stages = Stages(10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0 + (done - 10.0) / 2, done, done)
    exchange.outcome = Outcome(200, finish="stop", usage=Usage(source.randrange(9_000), source.randrange(9_000)))
    exchange.outcome.gpu_ms = 100


@pytest.mark.timeout(60 + SIZE // 1_000)
async def test_strangers_fill_neither_series_nor_memory() -> None:
    telemetry, source = Telemetry(), random.Random(5)
    process = psutil.Process()
    marks: list[tuple[int, int, int]] = []
    with telemetry.watchers.watch(Filter()):  # who never reads a line
        for number in range(SIZE):
            if number in {SIZE // 2, SIZE * 3 // 4}:
                marks.append(await _measured(telemetry, process))
            await telemetry.tell(*hostile(source, number))
        marks.append(await _measured(telemetry, process))
    sys.stdout.write(f"of {SIZE}, at 50, 75, 100 %: (series, blocks of memory, resident bytes) = {marks}\n")
    (series, early, resident), *_, (last_series, late, last_resident) = marks
    assert late - early < PER_SERIES * (last_series - series) + SIZE // 8, "something is kept of each request"
    assert last_resident - resident < 8 << 20
    _assert_bounded(telemetry)


async def _measured(telemetry: Telemetry, process: psutil.Process) -> tuple[int, int, int]:
    """How many series there are, blocks of memory that Python has handed out, and bytes that the system has."""
    await telemetry.send()
    gc.collect()
    return sum(telemetry.series().values()), sys.getallocatedblocks(), process.memory_info().rss


def _assert_bounded(telemetry: Telemetry) -> None:
    snapshots = list(telemetry.registry.snapshots())
    assert {each.family for each in snapshots} <= set(CATALOGUE)
    series = telemetry.series()
    # Owners are whom valid credentials name, which may be many; everything else is from a closed list.
    most = {family.name: FULL if CALLER in family.labels else CLOSED for family in CATALOGUE}
    assert {name: count for name, count in series.items() if count > most[name]} == {}
    counted = next(each.points for each in snapshots if each.family is REQUESTS)
    assert sum(point.value for point in counted) == SIZE, "what has no series of its own is counted all the same"
    assert series[REQUESTS.name] > MOST_SERIES, "there were more owners than a family holds"
    page = "".join(text for each in snapshots for text in blocks(each, OPENMETRICS))
    assert "canary" not in page
    assert "BREW" not in page
    assert b"canary" not in metrics_message(snapshots, RESOURCE).SerializeToString()
