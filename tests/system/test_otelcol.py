"""A real OpenTelemetry Collector takes all three signals, and reads in them what we mean."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.system.calls import ASKED, CHAT, streamed
from tests.system.conftest import Launch
from tests.system.process import Lines
from tests.system.recording_engine import RecordingEngine

OTELCOL: Final = Path(sys.executable).parent / "otelcol"
"""Put there by requirements/otelcol.sh."""
CALLER_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN: Final = "00f067aa0ba902b7"

_CONFIGURATION: Final = """
receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
exporters: {debug: {verbosity: detailed}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
"""


class Otelcol:
    """The program; it writes down what it was sent."""

    def __init__(self, folder: Path) -> None:
        file = folder / "otelcol.yaml"
        file.write_text(_CONFIGURATION)
        self.process = subprocess.Popen(
            (str(OTELCOL), "--config", f"file:{file}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = Lines(self.process.stderr)
        line = self.said.find(lambda text: "Starting HTTP server" in text, 20.0)
        assert line is not None, self.said.text
        found = re.search(r'"endpoint": "127\.0\.0\.1:(\d+)"', line)
        assert found is not None, line
        self.url = f"http://127.0.0.1:{found[1]}"

    def wait(self, pattern: str) -> None:
        """Wait for a line that matches."""
        assert self.said.find(lambda line: re.search(pattern, line) is not None, 20.0), f"{pattern} in {self.said.text}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20.0)
        self.said.close()


@pytest.fixture
def otelcol(tmp_path: Path) -> Iterator[Otelcol]:
    collector = Otelcol(tmp_path)
    try:
        yield collector
    finally:
        collector.stop()


@pytest.mark.parametrize("protocol", ["protobuf", "json"])
def test_a_real_collector_reads_all_three_signals(
    launch: Launch, engine: RecordingEngine, otelcol: Otelcol, protocol: str
) -> None:
    gateway = launch(
        policy={"timeout": "10s"},  # a busy machine is no failure of the policy engine
        telemetry={"otlp": otelcol.url, "otlp_protocol": protocol, "otlp_interval": "300ms", "sample": 1},
        listener={"trace": {"trust": "authenticated"}},
    )
    key = gateway.create_key("ann")
    answer = gateway.post(CHAT, streamed(), key.bearer, f"traceparent: 00-{CALLER_TRACE}-{CALLER_SPAN}-01")
    assert answer.status == 200
    assert gateway.get("/v1/models").status == 401
    for pattern in (
        r"service\.name: Str\(llm-gateway\)",
        rf"Trace ID\s*: {CALLER_TRACE}",
        rf"Parent ID\s*: {CALLER_SPAN}",
        rf"Name\s*: POST {CHAT}",
        rf"Name\s*: chat {ASKED}",
        r"Kind\s*: Server",
        r"Kind\s*: Client",
        r"gen_ai\.usage\.output_tokens: Int\(3\)",
        r"-> Name: gen_ai\.first_token",
        r"-> Name: gen_ai\.server\.request\.duration",
        r"-> Name: llm_gateway\.requests",
        r"EventName: llm_gateway\.denied",
    ):
        otelcol.wait(pattern)
    assert gateway.stop() == 0
    assert "the collector does not take" not in gateway.err.text
