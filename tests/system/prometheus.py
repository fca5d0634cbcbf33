"""A real Prometheus of a test's own: it scrapes a gateway each second, with our rules, and answers queries."""

from __future__ import annotations

import json
import math
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import yaml

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.observability.boards.files import RULES
from tests.system.process import Gateway, Key, until

SCRAPES: Final = "1s"


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and its values as (seconds since the epoch, value)."""

    labels: dict[str, str]
    values: tuple[tuple[float, float], ...]


class Prometheus:
    """A child process; `start` waits until it answers."""

    def __init__(self, folder: Path, gateway: Gateway, key: Key) -> None:
        """`key` has the scope `metrics:read`; what is kept lies in `folder`."""
        self.folder = folder
        self._gateway = gateway
        self._key = key
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        program = shutil.which("prometheus")
        assert program is not None, "no prometheus: requirements/system.sh installs it"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "key").write_text(self._key.secret)
        # Rules are the files' own, evaluated as often as there are scrapes.
        rules = RULES.read_text(encoding="utf-8").replace("interval: 30s", f"interval: {SCRAPES}")
        (self.folder / "rules.yaml").write_text(rules)
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump(self._configuration()))
        with (self.folder / "prometheus.out").open("wb") as out:
            self._process = subprocess.Popen(
                (
                    program,
                    f"--config.file={self.folder}/prometheus.yaml",
                    f"--storage.tsdb.path={self.folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--enable-feature=exemplar-storage",
                    "--log.level=warn",
                ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        until(self._ready, 30.0, "Prometheus answers")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30.0)

    def _configuration(self) -> Object:
        host, port = self._gateway.admin
        return {
            "global": {"scrape_interval": SCRAPES, "evaluation_interval": SCRAPES},
            "rule_files": [f"{self.folder}/rules.yaml"],
            "scrape_configs": [
                {
                    "job_name": "llm-gateway",
                    "authorization": {"credentials_file": f"{self.folder}/key"},
                    "static_configs": [{"targets": [f"{host}:{port}"]}],
                }
            ],
        }

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "prometheus.out").read_text()
        try:
            return self._get("/-/ready", {}) != b""
        except OSError:
            return False

    # -- queries

    def now(self, expression: str) -> list[Series]:
        """The series of an expression at this moment; AssertionError if it is not one."""
        return [
            Series(_labels(row), (_point(row["value"]),))
            for row in self._result("/api/v1/query", {"query": expression})
        ]

    def query(self, expression: str) -> dict[str, float]:
        """The values of `now`, by their labels as JSON text."""
        return {json.dumps(series.labels, sort_keys=True): series.values[0][1] for series in self.now(expression)}

    def one(self, expression: str) -> float:
        """The sum of what `now` finds."""
        return sum(self.query(expression).values())

    def over(self, expression: str, end: float, seconds: float, step: float) -> list[Series]:
        """The same over the `seconds` before `end` (seconds since the epoch)."""
        asked = {"query": expression, "start": f"{end - seconds}", "end": f"{end}", "step": f"{step}"}
        rows = self._result("/api/v1/query_range", asked)
        return [Series(_labels(row), tuple(map(_point, as_list(row["values"])))) for row in rows]

    def has_numbers(self, expression: str) -> bool:
        """Whether an expression has a series now, and in it a number."""
        return any(math.isfinite(series.values[0][1]) for series in self.now(expression))

    def exemplars(self, metric: str, seconds: float) -> list[Object]:
        """The exemplars of a metric's series."""
        end = time.time()
        asked = {"query": metric, "start": f"{end - seconds}", "end": f"{end}"}
        rows = as_list(json.loads(self._get("/api/v1/query_exemplars", asked))["data"])
        return [as_object(each) for row in rows for each in as_list(as_object(row)["exemplars"])]

    def rule_troubles(self) -> list[str]:
        """What went wrong with rules."""
        document = as_object(json.loads(self._get("/api/v1/rules", {}))["data"])
        rules = [rule for group in as_list(document["groups"]) for rule in as_list(as_object(group)["rules"])]
        assert rules, "no rules"
        return [as_str(as_object(rule).get("lastError")) for rule in rules if as_object(rule).get("lastError")]

    def firing(self) -> set[str]:
        """The alerts that fire."""
        return {series.labels["alertname"] for series in self.now('ALERTS{alertstate="firing"}')}

    def _result(self, path: str, asked: dict[str, str]) -> list[Object]:
        document = as_object(json.loads(self._get(path, asked)))
        assert document["status"] == "success", f"{asked['query']}: {document.get('error')}"
        return [as_object(row) for row in as_list(as_object(document["data"])["result"])]

    def _get(self, path: str, asked: dict[str, str]) -> bytes:
        url = f"http://127.0.0.1:{self._port}{path}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=20.0) as answer:
                body: bytes = answer.read()
        except urllib.error.HTTPError as refused:
            return refused.read() if refused.code < 500 else b""
        return body


def _labels(row: Object) -> dict[str, str]:
    return {name: as_str(value) for name, value in as_object(row["metric"]).items()}


def _point(value: JSON) -> tuple[float, float]:
    at, number = as_list(value)
    assert isinstance(at, int | float)
    return float(at), float(as_str(number))


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
