"""Streams as callers feel them, by `go/reader`: the first token, the time each is under way, the gaps between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.benchmarks import programs, samples
from tests.benchmarks.cores import Place, placed
from tests.benchmarks.load import CHAT
from tests.system.wire import loads

_MS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader asks of whom: `body` is a stream's, of `tokens` tokens (0 = any number)."""

    port: int
    key: str
    body: str
    tokens: int = 0
    path: str = CHAT
    headers: tuple[str, ...] = ()

    def options(self) -> tuple[str, ...]:
        lines = (f"Authorization: Bearer {self.key}", *self.headers)
        named = [option for line in lines for option in ("-header", line)]
        known = ("-port", str(self.port), "-path", self.path, "-body", self.body, "-tokens", str(self.tokens))
        return (*known, *named)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it while it was measured. Times in milliseconds: `first`: request to first token; `transit`: token
    written to token read; `later`: how much longer a gap was when it was read than when it was written."""

    events: int
    done: int
    errors: int
    problem: str
    first: Object
    transit: Object
    later: Object

    def taken(self) -> dict[str, float]:
        """As measures of a round."""
        parts = {"first": self.first, "transit": self.transit, "gap": self.later}
        named = {
            f"{name}_{share}_ms": _number(part[share]) / _MS
            for name, part in parts.items()
            for share in ("p50", "p99")
            if _number(part["count"])
        }
        return {**named, "events": self.events, "errors": self.errors}

    def curve(self) -> list[JSON]:
        """(share in per cent, milliseconds) of the transit, for a plot."""
        points = map(as_list, as_list(self.transit["curve"]))
        return [[_number(at) / 100, samples.short(_number(value) / _MS)] for at, value in points]


@dataclass(frozen=True, slots=True)
class Mixed:
    """What else a reader does: one request in `whole_every` wants a whole answer, one stream in `leave_every` left."""

    whole: str
    whole_every: int
    leave_every: int

    def options(self) -> tuple[str, ...]:
        every = ("-whole-every", str(self.whole_every), "-leave-every", str(self.leave_every))
        return ("-whole", self.whole, *every)


def listen(
    asked: Asked,
    *,
    streams: int,
    warm: float,
    seconds: float,
    between: Callable[[], None] = lambda: None,
    mixed: Mixed | None = None,
) -> Heard:
    """Keep `streams` going for `warm` and then for `seconds`; `between` is called when the measurement begins."""
    time = ("-streams", str(streams), "-warm", str(warm), "-seconds", str(seconds))
    with _Reader((*asked.options(), *time, *(mixed.options() if mixed else ()))) as reader:
        _ = reader.line()
        between()
        found = reader.line()
    return Heard(
        int(_number(found["events"])),
        int(_number(found["done"])),
        int(_number(found["errors"])),
        as_str(found["problem"]),
        *(as_object(found[name]) for name in ("first", "transit", "later")),
    )


@dataclass(slots=True)
class Held:
    """Streams that stand open: how many, how many failed, and what the first failure said."""

    open: int
    failed: int
    problem: str
    lost: int = 0


@contextmanager
def holding(asked: Asked, *, streams: int, rate: float) -> Iterator[Held]:
    """Open `streams`, `rate` a second, and hold them; afterwards `lost` is how many ended meanwhile."""
    with _Reader((*asked.options(), "-hold", "-streams", str(streams), "-rate", str(rate))) as reader:
        found = reader.line()
        held = Held(int(_number(found["open"])), int(_number(found["failed"])), as_str(found["problem"]))
        yield held
        reader.stop()
        held.lost = int(_number(reader.line()["lost"]))


class _Reader:
    """The program while it runs."""

    def __init__(self, options: Sequence[str]) -> None:
        command = (str(programs.program("reader")), *options)
        with placed(Place.LOAD):
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> Object:
        """The next thing it says."""
        assert self._process.stdout is not None
        return loads(self._process.stdout.readline())

    def stop(self) -> None:
        """Tell it that it may end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass


def _number(value: JSON) -> float:
    assert isinstance(value, int | float), json.dumps(value)
    return float(value)
