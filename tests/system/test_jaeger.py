"""One tree in a real Jaeger: a caller with spans of its own, the gateway, and a real engine that joins the trace."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind

from engines.tiny import serve
from policies.json import JSON
from tests.clients.real_engine import RealEngine, running
from tests.system.calls import CHAT, streamed
from tests.system.conftest import Launch
from tests.system.jaeger import Jaeger, Span
from tests.system.process import until

TRACED: Final = RealEngine(
    "llama-cpp-python",
    "llama_cpp.server",
    serve.LLAMA_CPP_READY_PATH,
    lambda port: [sys.executable, "-m", "tests.system.traced_engine", *serve.llama_cpp_argv(port)[3:]],
    embeddings=False,
    calls_tools=False,
)


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    one = Jaeger(tmp_path)
    try:
        yield one
    finally:
        one.stop()


@pytest.fixture
def traced(jaeger: Jaeger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, JSON]]:
    """An engine that sends its spans to Jaeger."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "engine")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.url)
    with running(TRACED, tmp_path) as engine:
        yield engine


@pytest.fixture
def shop(jaeger: Jaeger) -> Iterator[TracerProvider]:
    """A caller that does."""
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{jaeger.url}/v1/traces")))
    yield provider
    provider.shutdown()


@pytest.mark.engine
def test_caller_gateway_and_engine_are_one_tree(
    launch: Launch, jaeger: Jaeger, traced: dict[str, JSON], shop: TracerProvider
) -> None:
    gateway = launch(
        engine=traced,
        policy={"timeout": "10s"},  # a busy machine is no failure of the policy engine
        telemetry={"otlp": jaeger.url, "otlp_interval": "200ms", "sample": 0},  # the caller's flag decides
        listener={"trace": {"trust": "authenticated"}},
    ).ready()
    key = gateway.create_key("ann")
    headers: dict[str, str] = {}
    with shop.get_tracer("shop").start_as_current_span("order", kind=SpanKind.CLIENT) as order:
        inject(headers)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        answer = gateway.post(CHAT, {**streamed(max_tokens=8), "model": serve.ALIAS}, key.bearer, *lines)
        assert answer.status == 200
    trace_id = f"{order.get_span_context().trace_id:032x}"
    assert answer.head.get("x-trace-id") == trace_id

    def spans() -> dict[tuple[str, str], Span]:
        return {(span.service, span.name): span for span in jaeger.trace(trace_id)}

    until(lambda: len(spans()) >= 6, 20.0, "six spans in Jaeger")
    found = spans()
    tree = {
        ("shop", "order"): None,
        ("llm-gateway", f"POST {CHAT}"): ("shop", "order"),
        ("llm-gateway", "policy"): ("llm-gateway", f"POST {CHAT}"),
        ("llm-gateway", "queue"): ("llm-gateway", f"POST {CHAT}"),
        ("llm-gateway", f"chat {serve.ALIAS}"): ("llm-gateway", f"POST {CHAT}"),
        ("engine", f"POST {CHAT}"): ("llm-gateway", f"chat {serve.ALIAS}"),
    }
    assert set(found) == set(tree)
    assert {which: found[which].parent for which in tree} == {
        which: "" if parent is None else found[parent].id for which, parent in tree.items()
    }
    server, client = found["llm-gateway", f"POST {CHAT}"], found["llm-gateway", f"chat {serve.ALIAS}"]
    assert {which: span.tags.get("span.kind") for which, span in found.items()} == {
        **dict.fromkeys(tree, "server"),
        ("shop", "order"): "client",
        ("llm-gateway", "policy"): "internal",
        ("llm-gateway", "queue"): "internal",
        ("llm-gateway", f"chat {serve.ALIAS}"): "client",
    }
    assert {
        "http.route": CHAT,
        "http.response.status_code": 200,
        "llm_gateway.caller": "ann",
        "llm_gateway.key.id": key.id,
        "gen_ai.response.model": serve.ALIAS,
    }.items() <= server.tags.items()
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "llama-cpp-python",
        "gen_ai.request.max_tokens": 8,
    }.items() <= client.tags.items()
    assert client.events == ("gen_ai.first_token",)
    assert gateway.stop() == 0
    said = gateway.err.text
    assert "the collector does not take metrics (status 404)" in said, said
    assert "the collector does not take traces" not in said
