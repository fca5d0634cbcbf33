"""llama_cpp.server with OpenTelemetry's own ASGI middleware: a real engine that makes spans of its own.

Run like the server itself; the exporter is told by the usual OTEL_* variables.
"""

from __future__ import annotations

from typing import Any

from llama_cpp.server import __main__ as server
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

_create = server.create_app


def _traced(*args: Any, **settings: Any) -> Any:
    app = _create(*args, **settings)
    app.add_middleware(OpenTelemetryMiddleware, exclude_spans=["receive", "send"])
    return app


if __name__ == "__main__":
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    server.create_app = _traced
    server.main()
