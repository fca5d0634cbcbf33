"""The health check of a container, asked of a real gateway: there, ready, and draining."""

from __future__ import annotations

from tests.system.conftest import Launch
from tests.system.process import Gateway
from tests.system.recording_engine import RecordingEngine


def _check(gateway: Gateway, *arguments: str) -> int:
    host, port = gateway.admin
    return gateway.run("healthcheck", "--admin", f"{host}:{port}", *arguments).code


def test_a_gateway_with_an_engine_is_there_and_ready(gateway: Gateway) -> None:
    assert _check(gateway) == 0
    assert _check(gateway, "--ready") == 0


def test_one_that_has_stopped_is_not(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    assert gateway.stop() == 0
    assert _check(gateway) == 1
