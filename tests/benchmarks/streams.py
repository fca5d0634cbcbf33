"""Streams as a caller feels them: time to the first event, how long each event is under way, and how even they come."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median

from policies.json import Object
from tests.benchmarks.origin import EVENTS, MODEL

_BODY = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Say hello."}]})


@dataclass(frozen=True, slots=True)
class Streams:
    """Milliseconds over all streams: request to first event, event written to event read, gap between two events."""

    concurrent: int
    first_p50_ms: float
    first_p99_ms: float
    transit_p50_ms: float
    transit_p99_ms: float
    gap_p50_ms: float
    gap_p99_ms: float

    def document(self) -> Object:
        """For the report."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def listen(port: int, key: str, *, concurrent: int, rounds: int) -> Streams:
    """Read `rounds` times `concurrent` streams from loopback `port`."""
    return asyncio.run(_listen(port, key, concurrent, rounds))


async def _listen(port: int, key: str, concurrent: int, rounds: int) -> Streams:
    await _one(port, key)  # connections are opened, caches filled
    seen: list[tuple[int, list[tuple[int, int]]]] = []
    for _ in range(rounds):
        seen.extend(await asyncio.gather(*(_one(port, key) for _ in range(concurrent))))
    firsts = [first for first, _ in seen]
    transits = [read - written for _, events in seen for read, written in events]
    gaps = [b[0] - a[0] for _, events in seen for a, b in pairwise(events)]
    numbers = [value for sample in (firsts, transits, gaps) for value in (median(sample), _p99(sample))]
    return Streams(concurrent, *(value / 1e6 for value in numbers))


async def _one(port: int, key: str) -> tuple[int, list[tuple[int, int]]]:
    """One stream: nanoseconds to the first event, and (read, written) of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    asked = time.monotonic_ns()
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n{_BODY}".encode())
    events: list[tuple[int, int]] = []
    while line := await asyncio.wait_for(reader.readline(), 10):
        now = time.monotonic_ns()
        if line.startswith(b"data: [DONE]"):
            break
        if line.startswith(b"data: ") and (content := _content(line[6:])):
            events.append((now, int(content)))
    writer.close()
    await writer.wait_closed()
    assert len(events) == EVENTS, f"{len(events)} events"
    return events[0][0] - asked, events


def _content(data: bytes) -> str:
    choices = json.loads(data)["choices"]
    return str(choices[0]["delta"].get("content") or "") if choices else ""


def _p99(sample: list[int]) -> int:
    return sorted(sample)[min(len(sample) - 1, len(sample) * 99 // 100)]
