"""The other end of counter.py: what the gateway has done so far."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, NamedTuple, cast

_DEADLINE = 30.0
Functions = dict[str, list[int]]
"""What each function did: instructions, C calls."""


class Cost(NamedTuple):
    """What was executed, in all threads."""

    instructions: int
    c_calls: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What was done between two readings."""

    functions: Functions

    @property
    def cost(self) -> Cost:
        """The sums."""
        return Cost(*(sum(cell[number] for cell in self.functions.values()) for number in range(2)))


def between(before: Functions, after: Functions) -> Sample:
    """What was done from one reading to the next."""
    gone = {name: [cell[n] - before.get(name, [0, 0])[n] for n in range(2)] for name, cell in after.items()}
    return Sample({name: cell for name, cell in gone.items() if any(cell)})


@dataclass(frozen=True, slots=True)
class Counting:
    """A gateway that runs under the counter."""

    _lines: IO[str]

    def begin(self) -> None:
        """Count from now on."""
        self._ask("begin")

    def settle(self) -> Functions:
        """What was done since `begin`, once nothing more is to be done."""
        return self._ask("settle")

    def garbage(self) -> Functions:
        """What was left to the garbage collector since it was asked last: type to [objects, 0]."""
        return self._ask("garbage")

    def _ask(self, order: str) -> Functions:
        self._lines.write(f"{order}\n")
        self._lines.flush()
        return cast("Functions", json.loads(self._lines.readline()))


class Post:
    """Where the counter calls."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(_DEADLINE)

    @property
    def command(self) -> tuple[str, ...]:
        """What to start instead of `llm-gateway`."""
        return (sys.executable, "-m", "tests.budget.counter", str(self._listening.getsockname()[1]))

    @contextmanager
    def counting(self) -> Iterator[Counting]:
        """The counter of the gateway that was started by `command`."""
        with self._listening:
            connection, _ = self._listening.accept()
        connection.settimeout(_DEADLINE)
        with connection, connection.makefile("rw") as lines:
            yield Counting(lines)
