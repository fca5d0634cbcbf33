"""What a start loads: it is waited for, and what it loads stays in memory for as long as the gateway runs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from policies.json import Object
from tests.system.calls import CHAT, chat, streamed
from tests.system.collector import Collector
from tests.system.process import ROOT, Gateway, configuration
from tests.system.recording_engine import RecordingEngine

COMMAND = (sys.executable, "-X", "importtime", "-m", "edge")
UNUSED = {
    *("alembic", "mako", "psycopg", "redis"),  # stores
    *("cryptography", "dns", "jwt"),  # TLS, containers, tokens of issuers
    *("google", "opentelemetry"),  # a collector
    *("opa_client", "regorus", "tarfile"),  # policy engines, of which the embedded one is a child's
}
OURS = ("edge", "engines", "observability", "policies")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


def imported(gateway: Gateway) -> list[str]:
    """The names of the modules that it has imported so far, in their order."""
    # What a request leaves comes after them through the same pipe: it is there, so they are.
    gateway.access_line(gateway.get("/v1/me").head.get("x-request-id") or "none")
    return [line.rpartition("|")[2].strip() for line in gateway.err.all if line.startswith("import time:")]


def roots(names: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def test_a_start_imports_nothing_that_is_not_configured(tmp_path: Path, engine: RecordingEngine) -> None:
    gateway = Gateway(tmp_path, configuration(engine.url), command=COMMAND)
    try:
        names = imported(gateway.start().ready())
    finally:
        gateway.kill()
    assert "edge.gateway" in names
    assert not roots(names) & UNUSED
    assert not [name for name in names if name.startswith("sqlalchemy.dialects.postgresql")]
    commands = {name for name in names if name.startswith("edge.cli.")}
    assert commands == {"edge.cli.arguments", "edge.cli.main", "edge.cli.up"}


def test_with_a_collector_it_imports_what_that_protocol_takes(
    tmp_path: Path, engine: RecordingEngine, collector: Collector
) -> None:
    gateway = Gateway(tmp_path, configuration(engine.url, telemetry={"otlp": collector.url}), command=COMMAND)
    try:
        names = imported(gateway.start().ready())
    finally:
        gateway.kill()
    assert "opentelemetry" in roots(names)
    assert "google.protobuf.json_format" not in names


def test_the_first_caller_does_not_wait_for_an_import(tmp_path: Path, engine: RecordingEngine) -> None:
    gateway = Gateway(tmp_path, configuration(engine.url), command=COMMAND)
    try:
        key = gateway.start().ready().create_key("first")
        before = imported(gateway)
        for body in (chat(), streamed()):
            assert gateway.post(CHAT, body, key.bearer).status == 200
        late = imported(gateway)[len(before) :]
    finally:
        gateway.kill()
    assert not roots(late) & {*OURS, "aiohttp", "sqlalchemy"}


def test_a_start_that_fails_at_the_policy_closes_the_books_that_it_opened_meanwhile(
    tmp_path: Path, engine: RecordingEngine
) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "access.rego").write_text("package gateway.authz\n\ndecision := {\n")
    policy: Object = {"engine": "embedded", "dir": str(tmp_path / "policy")}
    gateway = Gateway(tmp_path, configuration(engine.url, policy=policy))
    try:
        assert gateway.spawn().wait() == 2
        told = [line for line in gateway.err.all if line.startswith("llm-gateway: ")]
        assert len(told) == 1
        assert "does not pass its check: access.rego:" in told[0]
        assert gateway.out.text == ""
    finally:
        gateway.kill()
    with closing(sqlite3.connect(tmp_path / "home" / "gateway.db")) as database:
        assert database.execute("SELECT count(*) FROM ledger_instances").fetchone() == (0,)


def test_the_certificates_that_aiohttp_would_read_are_not_read() -> None:
    """They take 60 ms and 2 MB; and whoever forgets to make a TLS context of their own reaches nobody."""
    code = """
import os
from edge.cli.up import import_aiohttp
os.environ["SSL_CERT_FILE"] = "before"
os.environ.pop("SSL_CERT_DIR", None)
import_aiohttp()
from aiohttp import connector
contexts = connector._SSL_CONTEXT_VERIFIED, connector._SSL_CONTEXT_UNVERIFIED
print([each.cert_store_stats()["x509_ca"] for each in contexts])
print(os.environ["SSL_CERT_FILE"], "SSL_CERT_DIR" in os.environ)
"""
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[0, 0]", "before False"]
