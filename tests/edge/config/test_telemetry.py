"""Where a collector is, and what is sent along: refused at the start where it could not work, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.problems import ConfigError
from edge.config.settings import Settings
from edge.config.show import effective
from observability.traces.trust import Trust


def loaded(folder: Path, text: str, headers: str = "") -> Settings:
    (folder / "headers").write_bytes(headers.encode("latin-1"))
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load(file, {})


def test_headers_are_read_at_the_start_and_only_their_file_is_shown(tmp_path: Path) -> None:
    text = "telemetry: {otlp: 'http://c:4318/', otlp_headers_file: headers}"
    settings = loaded(tmp_path, text, "Authorization: Bearer canary\n\nx-tenant:  us \n")
    file = settings.telemetry.otlp_headers_file
    assert file is not None
    assert file.headers == {"authorization": "Bearer canary", "x-tenant": "us"}
    assert settings.telemetry.otlp == "http://c:4318"
    assert "canary" not in repr(settings) + str(effective(settings))
    assert str(tmp_path / "headers") in str(effective(settings))


@pytest.mark.parametrize(
    "headers", ["no colon", "a b: c", "a: b\nA: c", "host: x", "content-length: 3", "a: \u00e9", "a:", "a: b\x07"]
)
def test_refuses_headers_that_cannot_be_sent(tmp_path: Path, headers: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, "telemetry: {otlp: 'http://c', otlp_headers_file: headers}", headers)
    assert "otlp_headers_file" in str(caught.value)


@pytest.mark.parametrize(
    "telemetry",
    [
        "{otlp: 'c:4318'}",
        "{otlp: 'unix:///run/otlp.sock'}",
        "{otlp: 'http://user:canary@c'}",
        "{otlp: 'http://c/v1/traces'}",
        "{otlp: 'http://c', otlp_headers_file: missing}",
        "{otlp: 'http://c', otlp_protocol: grpc}",
        "{otlp_headers_file: headers}",
        "{sample: 1.1}",
        "{kept_rate: -1}",
    ],
)
def test_refuses_what_could_not_work(tmp_path: Path, telemetry: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"telemetry: {telemetry}", "a: b")
    assert "canary" not in str(caught.value)


def test_trust_is_said_per_listener(tmp_path: Path) -> None:
    lan = "{name: lan, bind: '127.0.0.1:0', trace: {trust: networks, networks: [10.0.0.0/8]}}"
    settings = loaded(tmp_path, f"listeners: [{{name: a, bind: '127.0.0.1:0'}}, {lan}]")
    assert [each.trace.trust for each in settings.listeners] == [Trust.NONE, Trust.NETWORKS]
    with pytest.raises(ConfigError, match="networks"):
        loaded(tmp_path, "listeners: [{name: a, bind: '127.0.0.1:0', trace: {trust: networks}}]")
