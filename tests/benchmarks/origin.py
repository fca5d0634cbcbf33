"""The engines behind the contenders, and what is asked of them.

nginx (nginx.py) gives whole answers. Streams come from `go/engine`: exact pacing, and each token is the instant at
which it was written (the monotonic clock of the machine), so that a reader knows how long it was under way.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def streaming(*, hold: bool = False) -> Iterator[int]:
    """The port of a running streaming engine; with `hold` each stream has one token, and then nothing."""
    command = (str(programs.program("engine")), "-rate", str(RATE), *(("-hold",) if hold else ()))
    with placed(Place.LOAD):
        started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with started as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
