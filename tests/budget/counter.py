"""Runs the gateway and counts what it does: `python -m tests.budget.counter PORT up --config FILE ...`.

Counted are executed bytecode instructions (`frame.f_trace_opcodes`) and calls of functions written in C
(`sys.setprofile`), by function, in all threads; child processes are not. The orders come from loopback port PORT, one
per line; each is answered by one line of JSON, {function: [instructions, C calls]}, once the process has done all that
it had to do:

    begin    count from now on; periodic work stands still, and Python's garbage collector rests
    settle   say what was done since then
    garbage  say what only the garbage collector could free since it was asked last: {type: [objects, 0]}

Whoever sleeps for 0.1 s or longer when counting begins sleeps on: watches that look at something twice a second would
make one request in twenty dearer than the others, on a busy machine one in five. What a request itself leaves for later
(the ledger's and the logs' 20 ms) is its own, and is counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import sys
import sysconfig
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

SETTLED: Final = 0.045
"""Seconds without an instruction after which nothing is left to do: more than twice what anything lingers."""
THREAD: Final = "[thread]"
"""Follows the names of functions that ran beside the event loop: their own instructions cost its time all the same."""
CALLER: Final = " < "
"""Stands between the name of a library's function and the file of ours that it worked for."""
OURS: Final = ("edge/", "engines/", "observability/", "policies/")
_ROOT: Final = Path(__file__).parents[2]
_OURS: Final = tuple(f"{_ROOT}/{package}" for package in OURS)
_PATIENCE: Final = 10.0
_PERIODIC: Final = 0.1
_Tracer = Callable[[FrameType, str, object], Any]
_Function = tuple[CodeType, str]
"""And for a library's function the file of ours that it works for."""


class Counter:
    """The counts by function, those of the thread that made it apart from all others."""

    def __init__(self) -> None:
        self.on = False
        self.watching = threading.Event()
        self._loop = threading.get_ident()
        self._cells: tuple[dict[_Function, list[int]], ...] = ({}, {})
        self._tracers: tuple[dict[_Function, _Tracer], ...] = ({}, {})

    def install(self) -> None:
        """In all threads that are started from now on."""
        threading.settrace(self._trace)
        threading.setprofile(self._profile)

    def watch(self) -> None:
        """In this thread."""
        sys.settrace(self._trace)
        sys.setprofile(self._profile)
        self.watching.set()

    @property
    def total(self) -> int:
        """Grows with whatever is done."""
        return sum(map(sum, [cell for cells in self._cells for cell in tuple(cells.values())]))

    @property
    def functions(self) -> dict[str, list[int]]:
        """Instructions and C calls of each function, under names that are the same on every machine."""
        loop, others = map(_named, self._cells)
        return loop | {f"{name} {THREAD}": cell for name, cell in others.items()}

    def _trace(self, frame: FrameType, _event: str, _argument: object) -> _Tracer | None:
        if not self.on or frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        other = threading.get_ident() != self._loop
        function = (frame.f_code, _caller(frame))
        tracer = self._tracers[other].get(function)
        return tracer or self._tracer(function, other=other)

    def _tracer(self, function: _Function, *, other: bool) -> _Tracer:
        cell = self._cells[other].setdefault(function, [0, 0])

        def count(_frame: FrameType, event: str, _argument: object) -> _Tracer:
            if event == "opcode":
                cell[0] += 1
            return count

        self._tracers[other][function] = count
        return count

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "c_call" and self.on and frame.f_code.co_filename != __file__:
            other = threading.get_ident() != self._loop
            self._cells[other].setdefault((frame.f_code, _caller(frame)), [0, 0])[1] += 1


def _caller(frame: FrameType) -> str:
    """The file of ours that a library's function works for; "" for a function of ours, and where there is none."""
    above: FrameType | None = frame
    while above is not None and not above.f_code.co_filename.startswith(_OURS):
        above = above.f_back
    return "" if above is None or above is frame else above.f_code.co_filename


def _named(cells: dict[_Function, list[int]]) -> dict[str, list[int]]:
    named: dict[str, list[int]] = {}
    for function, (instructions, calls) in tuple(cells.items()):
        cell = named.setdefault(_name(*function), [0, 0])
        cell[0] += instructions
        cell[1] += calls
    return named


@cache
def _name(code: CodeType, caller: str) -> str:
    name = f"{_short(code.co_filename)}:{code.co_qualname}"
    return f"{name}{CALLER}{_short(caller)}" if caller else name


def _short(path: str) -> str:
    roots = (sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"), str(_ROOT))
    root = next((root for root in roots if path.startswith(f"{root}/")), "")
    return path.removeprefix(f"{root}/")


def stop_time(counter: Counter) -> None:
    """From `begin` on, nobody wakes from a long `asyncio.sleep`. The first one who does has the event loop watched: a
    start under the eyes of the counter takes twice as long."""
    sleep = asyncio.sleep

    async def asleep(delay: float, result: Any = None) -> Any:
        await sleep(delay)
        if counter.on and delay >= _PERIODIC:
            if not counter.watching.is_set():
                counter.watch()
            await asyncio.Event().wait()
        return result

    asyncio.sleep = asleep


def obey(orders: socket.socket, counter: Counter) -> None:
    """Until the other end closes. A thread of its own, which must not be counted."""
    sys.settrace(None)
    sys.setprofile(None)
    with orders, orders.makefile("rw") as lines:
        for line in lines:
            lines.write(json.dumps(_answer(line.strip(), counter)) + "\n")
            lines.flush()


def _answer(order: str, counter: Counter) -> dict[str, list[int]]:
    if order == "garbage":
        return garbage()
    if order == "begin":
        gc.disable()
        counter.on = True
        counter.watching.wait(_PATIENCE)
    last, total, ends = -1, counter.total, time.monotonic() + _PATIENCE
    while total != last and time.monotonic() < ends:
        time.sleep(SETTLED)
        last, total = total, counter.total
    return counter.functions


def garbage() -> dict[str, list[int]]:
    """Objects that nobody refers to but one another, by type; they are freed."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = Counts(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return {name: [count, 0] for name, count in found.items()}


def main(port: str, *arguments: str) -> int:
    """Run `llm-gateway` with `arguments`; its exit code."""
    counter = Counter()
    orders = socket.create_connection(("127.0.0.1", int(port)))
    threading.Thread(target=obey, args=(orders, counter), name="budget", daemon=True).start()
    counter.install()
    stop_time(counter)
    from edge.cli.main import main as command  # after `stop_time`: some take `asyncio.sleep` as a default

    return command(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
