"""Records as the gateway makes them, and a small log to put them into, for the tests of the decision log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from observability.decisions.log import DecisionLog
from observability.decisions.reader import iterate
from observability.decisions.settings import DecisionLogSettings
from policies.call import Dialect, Operation
from policies.input import Instant, Place, PolicyInput, Shape, Wanted
from policies.json import Object
from policies.principal import DEFAULT_SCOPES, Principal
from policies.record import Record

BEGAN = 1_795_000_000.0
ANN = Principal("ann", "k1", "ci", "key", frozenset({"dev"}), DEFAULT_SCOPES, ("qwen*",))
YES: Object = {
    "allow": True,
    "reasons": [],
    "obligations": {"max_tokens": 512},
    "grants": ["dev-chat"],
    "revision": "",
}


def request(number: int) -> str:
    return f"req-{number:06d}"


def record(number: int, *, at: float | None = None, pad: str = "") -> Record:
    at = BEGAN + number if at is None else at
    question = PolicyInput(
        id=request(number),
        principal=ANN,
        place=Place("10.1.2.3", ("office",), "lan", 8080),
        operation=Operation.CHAT,
        dialect=Dialect.OPENAI,
        method="POST",
        route="/v1/chat/completions",
        time=Instant(int(at) * 10**9, "", 12, 0, 2, "UTC"),
        model=Wanted("qwen3", "qwen3"),
        shape=Shape(max_tokens=256, messages=1, input_chars=100),
    )
    return Record(request(number), at, question.document(), YES, True, "", pad, "r" * 64, "embedded", 240)


KIB = 1024
SMALL = DecisionLogSettings(days=10, max_bytes=256 * KIB, segment_bytes=64 * KIB, durable_seconds=60)


@contextmanager
def opened(
    folder: Path, limits: DecisionLogSettings = SMALL, now: Callable[[], float] = time.time
) -> Iterator[DecisionLog]:
    log = DecisionLog(folder, limits, now=now)
    try:
        yield log
    finally:
        log.close()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def ids(folder: Path) -> list[str]:
    return [found.id for found in iterate(folder, newest_first=False)]
