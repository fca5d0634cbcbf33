"""The engine behind the contenders (`go/engine`), and what is asked of it.

It answers at once: whole, or as a stream, which is how the gateway asks for a whole answer where tokens are limited. Or
it streams with exact pacing, where each token is the instant at which it was written (the monotonic clock of the
machine), so that a reader knows how long it was under way.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from policies.json import JSON, Object
from tests.benchmarks import programs
from tests.benchmarks.cores import Place, placed

MODEL: Final = "bench"
RATE: Final = 50
"""Tokens a second of each stream."""
_SAID: Final[list[JSON]] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Say hello, and nothing else, please."},
]


def chat(**more: JSON) -> str:
    """The body of a small chat; `more` are further members."""
    body: Object = {"model": MODEL, "messages": _SAID, "temperature": 0.7, "max_tokens": 100, **more}
    return json.dumps(body)


class Pace(Enum):
    """Of streams: RATE tokens a second; one token, and then nothing; everything in one piece."""

    EXACT = ("-rate", str(RATE))
    HOLD = ("-hold",)
    AT_ONCE = ("-at-once",)


@contextmanager
def running(pace: Pace) -> Iterator[int]:
    """The port of a running engine. Whole answers come at once, whatever the pace."""
    command = (str(programs.program("engine")), *pace.value)
    with placed(Place.LOAD):
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with started as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
