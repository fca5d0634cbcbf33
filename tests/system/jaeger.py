"""A real Jaeger: takes OTLP, and tells by its query API what it made of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final, NamedTuple

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.process import until
from tests.system.wire import loads

JAEGER: Final = Path(sys.executable).parent / "jaeger"
"""Put there by requirements/jaeger.sh."""
_START: Final = 30.0
_UNUSED: Final = ("collector.grpc-server", "collector.http-server", "collector.otlp.grpc", "query.grpc-server")


class Span(NamedTuple):
    """A span as Jaeger shows it; `parent` is "" for the root."""

    id: str
    parent: str
    service: str
    name: str
    tags: dict[str, JSON]
    events: tuple[str, ...]


class Jaeger:
    """The program, with its memory store."""

    def __init__(self, folder: Path) -> None:
        ports = _free_ports(3 + len(_UNUSED))
        otlp, self._query, admin, *others = ports
        self.url = f"http://127.0.0.1:{otlp}"
        hosts = {"collector.otlp.http": otlp, "query.http-server": self._query, "admin.http": admin}
        hosts |= dict(zip(_UNUSED, others, strict=True))
        self._log = folder / "jaeger.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                (str(JAEGER), *(f"--{name}.host-port=127.0.0.1:{port}" for name, port in hosts.items())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            until(lambda: self._get("/api/services") is not None and _open(otlp), _START, "Jaeger answers")
        except AssertionError as late:
            self.stop()
            raise AssertionError(self._log.read_text(errors="replace")[-3000:]) from late

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace that are there by now."""
        found = self._get(f"/api/traces/{trace_id}")
        return _spans(as_object(as_list(found["data"])[0])) if found is not None and found.get("data") else []

    def stop(self) -> None:
        """At once: asked politely it takes ten seconds, and there is nothing to be saved."""
        self.process.kill()
        self.process.wait(20.0)

    def _get(self, path: str) -> Object | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._query}{path}", timeout=10.0) as answer:
                return loads(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return None


def _spans(trace: Object) -> list[Span]:
    processes = as_object(trace["processes"])
    found = []
    for span in map(as_object, as_list(trace["spans"])):
        parents = [as_object(each) for each in as_list(span["references"])]
        tags = {as_str(tag["key"]): tag["value"] for tag in map(as_object, as_list(span["tags"]))}
        fields = [as_object(field) for log in as_list(span["logs"]) for field in as_list(as_object(log)["fields"])]
        found.append(
            Span(
                as_str(span["spanID"]),
                next((as_str(each["spanID"]) for each in parents if each["refType"] == "CHILD_OF"), ""),
                as_str(as_object(processes[as_str(span["processID"])])["serviceName"]),
                as_str(span["operationName"]),
                tags,
                tuple(as_str(field["value"]) for field in fields if field["key"] == "event"),
            )
        )
    return found


def _free_ports(count: int) -> list[int]:
    """Jaeger does not say which port it took for 0, so it is told some that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
