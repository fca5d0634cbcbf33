"""Which part of the house a function belongs to, and a process' time by part, from what py-spy saw. Pure.

The parts are the stations of a request's line (docs/life-of-a-request.md), in their order, and what carries it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.budget.counter import CALLER, OURS, THREAD
from tests.budget.remote import Functions

LOOP: Final = "event loop"
"""Nothing of ours is running: asyncio, uvloop, and the command that they run under."""
THREADS: Final = "threads"
"""The others than the event loop's: they write the ledger and the logs, and watch files."""
FOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "listener": ("edge/listener/", "edge/reply.py", "edge/headers.py", "edge/cors.py", "edge/doors.py", "aiohttp/"),
    "intake": (
        "edge/intake/",
        *("edge/dialects/anthropic/request.py", "edge/dialects/ollama/request.py", "edge/dialects/ollama/pictures.py"),
        *("edge/dialects/responses/request.py", "edge/dialects/responses/items.py", "edge/dialects/turns.py"),
    ),
    "identity": ("edge/identity/", "edge/origin/"),
    "catalogue": ("engines/catalogue.py", "engines/naming.py", "engines/refresher.py", "edge/presets/"),
    "policy": ("policies/", "edge/policy/"),
    "limits": ("edge/limits/", "edge/accounts.py", "edge/charging.py"),
    "queue": ("edge/queue/",),
    "engine": ("engines/", "edge/engine_choice.py"),
    "relay": ("edge/relay/", "edge/dialects/", "edge/responses/"),
    "ledger": ("edge/ledger/", "edge/store/", "edge/bookkeeping.py"),
    "telemetry": (
        *("observability/", "edge/telemetry.py", "edge/exporting.py", "edge/capturing.py", "edge/live.py"),
        *("edge/logs.py", "edge/progress.py"),
    ),
    "pipeline": ("edge/", "policies/exchange.py"),
    LOOP: ("edge/cli/", "edge/__main__.py"),
}
"""Of each part its folders and files; the longest that fits a file counts."""
PARTS: Final = (*FOLDERS, THREADS)
_PLACES: Final = sorted(
    ((place, part) for part, places in FOLDERS.items() for place in places), key=lambda each: -len(each[0])
)
_FRAME: Final = re.compile(r"(.+) \((.+):\d+\)")
_LIBRARIES: Final = re.compile(r"^.*/(?:site-packages|python\d\.\d+)/")
_MAIN: Final = ": MainThread"


@cache
def part_of(path: str) -> str:
    """The part of a file, by its path from the root of the repository or of what is installed; "" if it is none's."""
    return next((part for place, part in _PLACES if path.startswith(place)), "")


@dataclass(slots=True)
class Seen:
    """Looks at the event loop's thread while it ran: how many in each part, and in each (function, part) itself."""

    parts: Counter[str] = field(default_factory=Counter[str])
    functions: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])

    @property
    def looks(self) -> int:
        """All of them."""
        return self.parts.total()


def seen(lines: Iterable[str], root: str) -> Seen:
    """What the lines of `py-spy record --format raw --threads --full-filenames` amount to: `thread;frame;...;frame N`,
    the innermost frame last. `root`: the repository's folder, as frames have it.

    A look counts for the part of the innermost frame that has one: what a library does for a part is that part's.
    """
    found = Seen()
    for line in lines:
        stack, _, looks = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if not thread.endswith(_MAIN):
            continue
        named = [_function(frame, root) for frame in reversed(frames)]
        part = next((part for _, path in named if (part := part_of(path))), LOOP)
        found.parts[part] += int(looks)
        if named:
            name, path = named[0]
            found.functions[f"{path}: {name}" if path else name, part] += int(looks)
    return found


def instructions(functions: Functions) -> Counter[str]:
    """By part, of what tests/budget counted."""
    found = Counter[str]()
    for name, (own, _) in functions.items():
        found[_part_of_counted(name)] += own
    return found


def _part_of_counted(name: str) -> str:
    if name.endswith(THREAD):
        return THREADS
    path, _, caller = name.partition(CALLER)
    return part_of(path) or part_of(caller) or LOOP


def _function(frame: str, root: str) -> tuple[str, str]:
    """Its name, and the path of its file; "" for what is no function in a file."""
    known = _FRAME.fullmatch(frame)
    if known is None:
        return frame, ""
    name, path = known.groups()
    inside = path.removeprefix(f"{root}/")
    return name, inside if inside.startswith(OURS) else _LIBRARIES.sub("", path)
