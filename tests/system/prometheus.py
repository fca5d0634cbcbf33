"""A real Prometheus that scrapes a gateway: what it takes in is right for all of them."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from policies.json import Object, as_list, as_object
from tests.system.process import Gateway, Key, until

EVERY = "1s"


class Prometheus:
    """A context. `key` must have scope metrics:read."""

    def __init__(self, folder: Path, gateway: Gateway, key: Key) -> None:
        folder.mkdir()
        self._folder = folder
        self._url = f"http://127.0.0.1:{_free_port()}"
        (folder / "key").write_text(key.secret)
        host, port = gateway.admin
        job: Object = {
            "job_name": "llm-gateway",
            "authorization": {"credentials_file": str(folder / "key")},
            "static_configs": [{"targets": [f"{host}:{port}"]}],
        }
        configuration: Object = {
            "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY},
            "scrape_configs": [job],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._log = (folder / "log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self._folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={self._url.removeprefix('http://')}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=self._log,
            stderr=self._log,
        )
        until(self._ready, 30.0, "Prometheus is ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20.0)
        self._log.close()

    def query(self, expression: str) -> dict[str, float]:
        """The values of an instant query, by their labels as JSON text. AssertionError if it does not parse."""
        document = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert document["status"] == "success", document
        rows = as_list(as_object(document["data"])["result"])
        found = {}
        for row in map(as_object, rows):
            _, value = as_list(row["value"])
            found[json.dumps(row["metric"], sort_keys=True)] = float(str(value))
        return found

    def one(self, expression: str) -> float:
        """The sum of what `query` finds."""
        return sum(self.query(expression).values())

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, path: str) -> Object:
        with urllib.request.urlopen(self._url + path, timeout=10) as answer:  # noqa: S310 - our own
            return as_object(json.loads(answer.read()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
