"""A collector of our own: takes OTLP over HTTP, decodes what real collectors decode, and can misbehave like them.

It runs its own event loop in a thread, like the recording engine, and is the witness of what left the gateway.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from policies.json import JSON
from tests.system.background import Background, close

DEADLINE = 15.0

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Posted:
    """One request as it came; `body` is decompressed."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Behaviour:
    """How it answers: `status` with `headers`, after `release` if it `hangs`; `failures` of that, then 200 again
    (-1: for ever)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    failures: int = -1
    hangs: bool = False


class Collector(Background):
    """`url` is what goes into the configuration. `wait` for what should come."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__("collector")
        self._host = host
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._changed = threading.Condition()
        self._posted: list[Posted] = []
        self.behaviour = Behaviour()
        self.port = 0

    async def open(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{tail:.*}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        assert self._runner.server is not None
        self._server = await asyncio.get_running_loop().create_server(self._runner.server, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        if self._server is not None and self._runner is not None:
            await close(self._server)
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()  # aiohttp has decompressed it
        with self._changed:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self._posted.append(Posted(request.path, headers, body))
            self._changed.notify_all()
        how = self.behaviour
        if how.hangs:
            await asyncio.Event().wait()
        if how.status == 200 or how.failures == 0:
            return web.Response(body=b"", content_type="application/x-protobuf")
        how.failures -= 1
        return web.Response(status=how.status, headers=how.headers)

    # -- what tests use ----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    @property
    def posted(self) -> list[Posted]:
        with self._changed:
            return list(self._posted)

    def wait(self, condition: Callable[[], bool], what: str, within: float = DEADLINE) -> None:
        """Wait until `condition` holds; AssertionError with `what` after the deadline."""
        with self._changed:
            assert self._changed.wait_for(condition, within), f"not in {within} s: {what}"

    @property
    def traces(self) -> list[ExportTraceServiceRequest]:
        return [decoded(ExportTraceServiceRequest(), each) for each in self.posted if each.path == "/v1/traces"]

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        scopes = (scope for message in self.traces for each in message.resource_spans for scope in each.scope_spans)
        return [span for scope in scopes for span in scope.spans]

    def trace(self, trace_id: str, within: float = DEADLINE) -> dict[str, Span]:
        """The spans of one trace by name, waiting for them (they come together)."""
        wanted = bytes.fromhex(trace_id)
        self.wait(lambda: any(span.trace_id == wanted for span in self.spans), f"trace {trace_id}", within)
        return {span.name: span for span in self.spans if span.trace_id == wanted}

    @property
    def metrics(self) -> list[ExportMetricsServiceRequest]:
        return [decoded(ExportMetricsServiceRequest(), each) for each in self.posted if each.path == "/v1/metrics"]

    def latest_metrics(self) -> dict[str, Metric]:
        """The families of the last message by name."""
        scopes = [scope for each in self.metrics[-1].resource_metrics for scope in each.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    @property
    def logs(self) -> list[ExportLogsServiceRequest]:
        return [decoded(ExportLogsServiceRequest(), each) for each in self.posted if each.path == "/v1/logs"]

    @property
    def records(self) -> list[LogRecord]:
        scopes = (scope for message in self.logs for each in message.resource_logs for scope in each.scope_logs)
        return [record for scope in scopes for record in scope.log_records]


def decoded(message: M, posted: Posted) -> M:
    """The body as the protocol it says it is in."""
    if posted.headers["content-type"] == "application/json":
        Parse(posted.body, message)
    else:
        message.ParseFromString(posted.body)
    return message


def values(attributes: Iterable[KeyValue]) -> dict[str, JSON]:
    """Attributes as plain values; each key once."""
    pairs = [(each.key, value(each.value)) for each in attributes]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def value(any_value: AnyValue) -> JSON:
    match any_value.WhichOneof("value"):
        case "array_value":
            return [value(each) for each in any_value.array_value.values]
        case None:
            return None
        case kind:
            found = getattr(any_value, kind)
            assert isinstance(found, str | bool | int | float)
            return found
