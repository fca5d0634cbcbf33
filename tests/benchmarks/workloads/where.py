"""Where the time of whole chats and of streams goes, by part of the house: by py-spy in time, by tests/budget in
instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from policies.json import JSON, Object
from tests.benchmarks import house, origin, samples
from tests.benchmarks.contenders import Contender, Meter, alone, entrant
from tests.benchmarks.plan import Plan
from tests.benchmarks.samples import Taken
from tests.benchmarks.spy import Look
from tests.benchmarks.workloads.pressed import Press
from tests.benchmarks.workloads.streamed import Listening
from tests.budget import measuring
from tests.system.process import ROOT

CONNECTIONS: Final = 32
STREAMS: Final = 200
_RATE: Final = 47
"""Looks per second: each costs the gateway two milliseconds, and tokens come 50 times a second from each stream."""
_MOST: Final = 12
"""Functions that are shown."""


@dataclass(frozen=True, slots=True)
class Pressing:
    """A press: its title, how soon the engine answers, what tests/budget calls the same, and what presses a contender
    and calls its last argument when the measurement begins."""

    title: str
    pace: origin.Pace
    counted: str
    press: Callable[[Plan, Path, Contender, Callable[[], None]], Taken]


def _whole(plan: Plan, folder: Path, contender: Contender, begun: Callable[[], None]) -> Taken:
    return Press(plan, folder, CONNECTIONS, begun=begun)(contender)


def _streams(plan: Plan, _folder: Path, contender: Contender, begun: Callable[[], None]) -> Taken:
    return Listening(plan, STREAMS, begun=begun)(contender)


PRESSINGS: Final = (
    Pressing(f"Whole chats, {CONNECTIONS} connections", origin.Pace.AT_ONCE, "whole chat", _whole),
    Pressing(f"Streams, {STREAMS} at once", origin.Pace.EXACT, "streamed chunk", _streams),
)


@dataclass(frozen=True, slots=True)
class View:
    """What was seen of one press. `main`: the share of the event loop's thread in the processor time of the gateway, 0
    to 1; nothing is known of the others but their time. `problem`: why nothing was seen, or ""."""

    taken: Taken
    seen: house.Seen
    main: float
    problem: str

    def parts(self, instructions: Counter[str]) -> list[JSON]:
        """A row per part, and one for all of them."""
        rows = [self._row({"part": part}, self._share(part)) for part in house.PARTS]
        counted = [instructions[part] if instructions else None for part in house.PARTS]
        listed: list[JSON] = [row | {"instructions": count} for row, count in zip(rows, counted, strict=True)]
        total = self._row({"part": "all"}, 1.0 if self.seen.looks else None)
        return [*listed, total | {"instructions": instructions.total() if instructions else None}]

    def functions(self, most: int) -> list[JSON]:
        """The `most` functions with the most own time."""
        return [
            self._row({"function": name, "part": part}, self.main * looks / self.seen.looks)
            for (name, part), looks in self.seen.functions.most_common(most)
        ]

    def _share(self, part: str) -> float | None:
        if not self.seen.looks:
            return None
        return 1 - self.main if part == house.THREADS else self.main * self.seen.parts[part] / self.seen.looks

    def _row(self, named: Object, share: float | None) -> Object:
        used = self.taken.get("cpu_us")
        timed = None if share is None or used is None else samples.short(share * used)
        return {**named, "%": None if share is None else samples.short(share * 100), "µs": timed}


def measure(plan: Plan, folder: Path) -> Object:
    """A row per press; and for each, as parts, a table by part of the house and one of functions."""
    long = replace(plan, seconds=plan.rounds * plan.seconds)
    counted, notes = _counted(folder / "budget")
    rows: list[JSON] = []
    parts: Object = {}
    for pressing in PRESSINGS:
        view = _view(pressing, long, folder / pressing.counted.replace(" ", "-"))
        setting: Object = {"press": pressing.title, "looks": view.seen.looks}
        rows += samples.rows({"gateway": [view.taken]}, setting)
        parts[pressing.title] = view.parts(counted.get(pressing.counted, Counter()))
        if functions := view.functions(_MOST):
            parts[f"{pressing.title}: the functions with the most time of their own"] = functions
        notes += [f"{pressing.title}: {view.problem}"] if view.problem else []
    return {"rows": rows, "parts": parts, "notes": list[JSON](notes)}


def _view(pressing: Pressing, plan: Plan, folder: Path) -> View:
    stacks = folder / "stacks"
    with origin.running(pressing.pace) as port, alone(folder, port) as gateway:
        contender, pid = entrant(gateway), gateway.process.pid
        meter, before = Meter(contender), list[tuple[float, float]]()
        options = ("--format", "raw", "--threads", "--full-filenames")
        with Look(pid, stacks, *options, rate=_RATE, seconds=plan.seconds) as look:

            def begin() -> None:
                look.begin()
                before.append((meter.seconds(), _main_thread(pid)))

            taken = pressing.press(plan, folder, contender, begin)
            used, main = meter.seconds() - before[0][0], _main_thread(pid) - before[0][1]
            problem = look.end()
    if problem:
        return View(taken, house.Seen(), 0.0, problem)
    seen = house.seen(stacks.read_text(encoding="utf-8").splitlines(), str(ROOT))
    return View(taken, seen, main / used if used else 0.0, "" if seen.looks else "py-spy saw nothing run")


def _main_thread(pid: int) -> float:
    """Seconds of processor time of the first thread; 0 where the system does not tell (nor let py-spy look)."""
    try:
        threads = psutil.Process(pid).threads()
    except psutil.AccessDenied:
        return 0.0
    first = next((thread for thread in threads if thread.id == pid), threads[0])  # macOS numbers them from 1
    spent: float = first.user_time + first.system_time
    return spent


def _counted(folder: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Instructions by part, of what tests/budget plays; and why there are none."""
    names: Sequence[str] = [pressing.counted for pressing in PRESSINGS]
    try:
        found = measuring.measure(folder, names)
    except measuring.CountError as problem:
        return {}, [f"instructions were not counted: {problem}"]
    return {name: house.instructions(sample.functions) for name, sample in found.items()}, []
