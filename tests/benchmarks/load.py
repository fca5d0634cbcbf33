"""Requests per second and latency under closed-loop load, by wrk with one thread."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.cores import Place, placed
from tests.benchmarks.origin import chat

CHAT: Final = "/v1/chat/completions"
_ONE: Final = """
wrk.method, wrk.path, wrk.body = "POST", "%s", [==[%s]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. %s
"""
_MANY: Final = """
local path, body, made, at = "%s", [==[%s]==], {}, 0
init = function()
  for number, key in ipairs({ %s }) do
    made[number] = wrk.format("POST", path, {
      ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. key }, body)
  end
end
request = function()
  at = at %% #made + 1
  return made[at]
end
"""
_END: Final = r"""
done = function(summary, latency, requests)
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\n{"requests":%d,"us":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}\n', summary.requests,
    summary.duration, summary.errors.status, broken, latency:percentile(50), latency:percentile(99)))
end
"""
_PATIENCE: Final = 60
"""Seconds wrk waits for an answer: what is slow counts as slow, not as an error."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: answers per second, latency in milliseconds, how many were refused (a status of 400 and more), and
    how many requests got no answer."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    refused: int
    broken: int

    @property
    def errors(self) -> int:
        """Of requests that should have been answered."""
        return self.refused + self.broken


def press(
    port: int,
    key: str | Sequence[str],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    body: str = "",
    warm: float = 1,
) -> Load:
    """Press loopback `port` with chat requests for `seconds`, after a warm-up; several keys take turns."""
    script = folder / f"post-{port}.lua"
    keys = [f'"{each}"' for each in ([key] if isinstance(key, str) else key)]
    script.write_text((_ONE if len(keys) == 1 else _MANY) % (CHAT, body or chat(), ", ".join(keys)) + _END)
    if warm:
        _ = _wrk(port, script, connections, warm)
    return _wrk(port, script, connections, seconds)


def _wrk(port: int, script: Path, connections: int, seconds: float) -> Load:
    whole = max(1, round(seconds))
    options = ("-t1", f"-c{connections}", f"-d{whole}s", "--timeout", f"{_PATIENCE}s", "-s", str(script))
    with placed(Place.LOAD):
        done = subprocess.run(
            ("wrk", *options, f"http://127.0.0.1:{port}"),
            capture_output=True,
            text=True,
            timeout=whole + 90,
            check=True,
        )
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))
    seen: dict[str, int] = json.loads(line)
    return Load(
        seen["requests"] / seen["us"] * 1e6,
        seen["p50"] / 1e3,
        seen["p99"] / 1e3,
        seen["requests"],
        seen["refused"],
        seen["broken"],
    )
