"""Telemetry as the gateway has it: what is counted, by whom, and what is read of its parts when somebody asks.

`observability` knows nothing of queues, engines and listeners; here they are handed over, as callables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from edge.bookkeeping import Books
from edge.config.telemetry import Telemetry as Settings
from edge.fleet import Fleet
from edge.inflight import Inflight
from edge.listener.server import Listener
from edge.policy.opening import PolicyPart
from edge.queue.engine_queue import EngineQueue, Queues
from edge.tasks import Tasks
from engines.breaker import Breaker, Breakers
from engines.contract import Engine
from engines.transport import HttpTransport
from observability.captures.log import CaptureLog
from observability.lines import LineSink
from observability.metrics import catalogue as names
from observability.metrics.instruments import Mark
from observability.metrics.observer import RequestMetrics, caller_of
from observability.metrics.process import GcPauses, LoopLag, watch_process
from observability.metrics.registry import Reading, Registry
from observability.observers import Observer
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.record import Record

if TYPE_CHECKING:
    from edge.exporting import Exporting

_CREDENTIAL: Final = "credential"
_CLOSED: Final = Breaker()
_SPELLINGS: Final = 1_024


@dataclass(frozen=True, slots=True)
class Parts:
    """What there is to look at. `listeners`: those that are open by now."""

    fleet: Fleet
    queues: Queues
    transport: HttpTransport
    breakers: Breakers
    inflight: Inflight
    books: Books
    policy: PolicyPart
    lines: LineSink
    captures: CaptureLog
    listeners: Callable[[], Sequence[Listener]]


class Telemetry:
    """One per gateway. Made first, since parts report to it; `watch` once they exist; `close` at the end."""

    def __init__(self, settings: Settings, tasks: Tasks, wall: Callable[[], float]) -> None:
        self.registry: Final = Registry(wall)
        self._exporting = _exporting(settings, self.registry, tasks)
        self.tracer: Final = None if self._exporting is None else self._exporting.tracer
        self._wire_refusals = self.registry.counter(names.WIRE_REFUSALS)
        self._decisions = self.registry.counter(names.DECISIONS)
        self._decision_time = self.registry.histogram(names.DECISION_TIME)
        self._gc = GcPauses(self.registry)
        self._gc.start()
        watch_process(self.registry, version=_version(), wall=wall)
        _ = tasks.keep(LoopLag(self.registry).run, name="loop lag")

    def decided(self, record: Record) -> None:
        """A decision was taken."""
        # By the reason: a policy's no to `/v1/me` is answered with an empty list, so nobody was refused.
        self._decisions.add(("deny" if record.reason else "allow", record.reason, record.engine))
        if record.engine != _CREDENTIAL:
            self._decision_time.observe((record.engine,), record.took_us / 1e6)

    def rejected(self, refusal: Refusal, client: Client) -> None:
        """The wire checks refused something that was no request yet."""
        self._wire_refusals.add((client.listener, refusal.reason.value))

    def observers(self, fleet: Fleet) -> tuple[Observer, ...]:
        """Who is to be told of finished requests, in this order."""
        metrics = RequestMetrics(self.registry, known=KnownNames(fleet), sampled=mark)
        return (metrics,) if self._exporting is None else (*self._exporting.observers(), metrics)

    def watch(self, parts: Parts) -> None:
        """Read what is a state rather than an event whenever it is asked for."""
        registry, queues, fleet = self.registry, parts.queues, parts.fleet

        def per_engine(value: Callable[[EngineQueue], float]) -> Callable[[], Reading]:
            return lambda: [((engine.name,), value(queues.of(engine))) for engine in fleet.engines]

        def per_breaker(value: Callable[[Breaker], float]) -> Callable[[], Reading]:
            known = parts.breakers.known
            return lambda: [((engine.name,), value(known.get(engine.name, _CLOSED))) for engine in fleet.engines]

        def per_listener(value: Callable[[Listener], float]) -> Callable[[], Reading]:
            return lambda: [((listener.name,), value(listener)) for listener in parts.listeners()]

        registry.read(names.QUEUE_DEPTH, per_engine(lambda queue: queue.waiting))
        registry.read(names.QUEUE_RUNNING, per_engine(lambda queue: queue.running))
        registry.read(names.QUEUE_SLOTS, per_engine(lambda queue: queue.concurrency))
        registry.read(names.ENGINE_LOADING, per_engine(lambda queue: queue.loading))
        registry.read(names.ENGINE_UP, lambda: [(_engine(engine), up) for engine, up in fleet.engines.items()])
        registry.read(names.ENGINE_MODELS, lambda: _models(fleet))
        registry.read(names.BREAKER, per_breaker(lambda breaker: breaker.open))
        registry.read(names.BREAKER_TRIPS, per_breaker(lambda breaker: breaker.trips))
        registry.read(names.RETRIES, lambda: [((name,), count) for name, count in parts.transport.retried.items()])
        registry.read(names.ACTIVE_REQUESTS, per_listener(lambda listener: listener.active))
        registry.read(names.CONNECTIONS, per_listener(lambda listener: listener.census.total))
        registry.read(names.CONNECTIONS_REFUSED, per_listener(lambda listener: listener.refused))
        registry.read(names.IN_FLIGHT, lambda: _in_flight(parts.inflight))
        if (redis := parts.books.redis) is not None:
            registry.read(names.REDIS_UP, lambda: [((), redis())])
        registry.read(names.ENERGY_AVAILABLE, lambda: [((), 0)])  # powermetrics: root, and the whole machine
        registry.read(names.POLICY_UP, lambda: [((), parts.policy.service.ready)])
        registry.read(names.LEDGER_WAITING, lambda: [((), parts.books.ledger.waiting)])
        registry.read(names.LEDGER_WRITTEN, lambda: [((), parts.books.ledger.written)])
        registry.read(
            names.DROPPED, lambda: [*_dropped(parts), *(self._exporting.dropped() if self._exporting else ())]
        )

    async def close(self) -> None:
        """Let go of the interpreter, and send what is left."""
        self._gc.stop()
        if self._exporting is not None:
            await self._exporting.close()


class KnownNames:
    """The canonical name or alias that a name means, without presets (they could be stacked up without end); "" where
    the catalogue has no such model.

    Remembered: callers ask for the same few, and there are only so many spellings of them.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._catalogue: object = None
        self._names: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        catalogue = self._fleet.catalogue
        if catalogue is not self._catalogue or len(self._names) >= _SPELLINGS:
            self._catalogue = catalogue
            self._names.clear()
        found = self._names.get(name)
        if found is not None:
            return found
        if not catalogue.resolve(name):
            return ""
        named = catalogue.named(name)
        found = self._names[name] = named.alias or named.model
        return found


def _exporting(settings: Settings, registry: Registry, tasks: Tasks) -> Exporting | None:
    if settings.otlp is None:
        return None
    from edge.exporting import Exporting  # protobuf: 60 ms and 10 MB, only where there is a collector

    return Exporting(settings, settings.otlp, registry, tasks, version=_version())


def mark(exchange: Exchange, at: float) -> Mark | None:
    """For exemplars: only a trace that is kept can be looked at."""
    trace = exchange.trace
    return Mark(at, trace.id, trace.span_id) if trace is not None and trace.kept else None


def _engine(engine: Engine) -> tuple[str, str]:
    return engine.name, engine.kind.value


def _models(fleet: Fleet) -> Reading:
    offered = Counter(name for entry in fleet.catalogue.models() for name in entry.engines)
    return [((engine.name,), offered[engine.name]) for engine in fleet.engines]


def _in_flight(inflight: Inflight) -> Reading:
    calls = [exchange for exchange in inflight.exchanges() if exchange.call is not None]
    # Before the decision nobody knows whether the policy lets the caller be named.
    named = (caller_of(exchange) if exchange.stages.decided else "" for exchange in calls)
    running = Counter(zip(named, (exchange.model for exchange in calls), strict=True))
    return list(running.items())


def _dropped(parts: Parts) -> Iterator[tuple[tuple[str], float]]:
    yield ("access_log",), parts.lines.dropped
    yield ("decision_log",), parts.policy.log.dropped + parts.policy.fleet_log.dropped
    yield ("capture",), parts.captures.dropped


def _version() -> str:
    try:
        return version("llm-gateway")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"
