"""Requests per second and latency under closed-loop load, by wrk with one thread."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from policies.json import Object
from tests.benchmarks.origin import MODEL

_SCRIPT = """
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.body = [==[%s]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
done = function(summary, latency, requests)
  io.write(string.format(
    '\\n{"requests":%%d,"us":%%d,"errors":%%d,"p50":%%d,"p99":%%d}\\n', summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
      + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
_BODY = json.dumps(
    {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Say hello, and nothing else, please."},
        ],
        "temperature": 0.7,
        "max_tokens": 100,
    }
)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: requests per second, latency in milliseconds."""

    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int

    def document(self) -> Object:
        """For the report."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def press(port: int, key: str, folder: Path, *, connections: int, seconds: float) -> Load:
    """Press loopback `port` with chat requests for `seconds`, after a short warm-up."""
    script = folder / "post.lua"
    script.write_text(_SCRIPT % (_BODY, key))
    _wrk(port, script, connections, 1)
    seen = _wrk(port, script, connections, max(1, round(seconds)))
    return Load(
        connections,
        seen["requests"] / seen["us"] * 1e6,
        seen["p50"] / 1e3,
        seen["p99"] / 1e3,
        int(seen["errors"]),
    )


def _wrk(port: int, script: Path, connections: int, seconds: int) -> dict[str, float]:
    done = subprocess.run(
        ("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"),
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=True,
    )
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    numbers: dict[str, float] = json.loads(line)
    return numbers
