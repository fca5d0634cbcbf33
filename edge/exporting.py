"""Opens what sends traces, metrics and logs to a collector. Imported, and protobuf with it, only where one is set."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from google.protobuf.message import Message

from edge.config.telemetry import Telemetry as Settings
from edge.identity.state import StateError
from edge.tasks import Tasks
from observability.metrics.registry import Registry
from observability.observers import Observer
from observability.otlp.backlog import Backlog, Latest, Source
from observability.otlp.encode import Protocol, write
from observability.otlp.lane import PATIENCE, Lane, Signal
from observability.otlp.logs import logs_message
from observability.otlp.metrics import metrics_message
from observability.otlp.records import LogRecords, Record
from observability.otlp.resource import Resource
from observability.otlp.sender import Collector, HttpSender
from observability.otlp.traces import trace_message
from observability.traces.spans import Span
from observability.traces.tracer import Sampling, Tracer

T = TypeVar("T")

TRACES: Final = 2048
"""Traces that may wait; one is 3 to 4 spans, about 8 KiB."""
LOGS: Final = 2048
BATCH: Final = 128
"""So that a thread encodes for a few milliseconds at most: it holds the interpreter while it does."""
FLUSH: Final = 3.0
"""Seconds for the last messages when the gateway stops."""


class Exporting:
    """All three signals on their way to `url`. Raises StateError for certificates that cannot be read."""

    def __init__(self, settings: Settings, url: str, registry: Registry, tasks: Tasks, *, version: str) -> None:
        self._settings = settings
        self._sender = _sender(settings, url)
        resource = Resource(version, os.urandom(16).hex(), os.getpid())
        traces: Backlog[list[Span]] = Backlog(TRACES, BATCH)
        logs: Backlog[Record] = Backlog(LOGS, BATCH)
        sampling = Sampling(settings.sample, settings.slow, settings.kept_rate, settings.trusted_rate)
        self.tracer: Final = Tracer(sampling, traces.put, randomness=os.urandom, clock=time.monotonic)
        self._records = LogRecords(logs.put, rate=settings.kept_rate, clock=time.monotonic)
        self._traces = self._lane("traces", traces, lambda batch: trace_message(batch, resource))
        self._logs = self._lane("logs", logs, lambda batch: logs_message(batch, resource))
        self._metrics = self._lane(
            "metrics",
            Latest(registry.snapshots),
            lambda batch: metrics_message(batch, resource),
            patience=settings.otlp_interval / 2,  # what failed is old by then, and the next message says it all again
        )
        traces.wake, logs.wake = self._traces.wake, self._logs.wake
        self._waiting = traces, logs
        for lane in (self._traces, self._logs, self._metrics):
            _ = tasks.keep(lane.run, name="telemetry export")

    def observers(self) -> tuple[Observer, ...]:
        """Who is to be told of finished requests, before metrics: they want to know which traces are kept."""
        return self.tracer, self._records

    def dropped(self) -> Iterator[tuple[tuple[str], float]]:
        """What was thrown away, by signal."""
        traces, logs = self._waiting
        yield ("traces",), traces.dropped + self._traces.lost + self.tracer.limited
        yield ("logs",), logs.dropped + self._logs.lost + self._records.limited
        yield ("metrics",), self._metrics.lost

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        await asyncio.gather(self._traces.flush(FLUSH), self._logs.flush(FLUSH), self._metrics.flush(FLUSH))
        await self._sender.close()

    def _lane(
        self, name: str, source: Source[T], message: Callable[[Iterable[T]], Message], *, patience: float = PATIENCE
    ) -> Lane[T]:
        protocol = Protocol(self._settings.otlp_protocol.value)
        return Lane(
            Signal(name, lambda batch: write(message(batch), protocol), protocol.content_type, patience),
            source,
            self._sender,
            interval=self._settings.otlp_interval,
            clock=time.monotonic,
            random=random.random,
        )


def _sender(settings: Settings, url: str) -> HttpSender:
    headers = {} if settings.otlp_headers_file is None else settings.otlp_headers_file.headers
    try:
        return HttpSender(Collector(url, headers, settings.otlp_ca_file))
    except OSError as error:
        problem = f"cannot read the certificates in {settings.otlp_ca_file} ({type(error).__name__})"
        raise StateError(problem, "set telemetry.otlp_ca_file to a PEM file") from None
