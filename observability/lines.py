"""Where lines go: a file or stderr, written by a thread of its own, so that a slow disk or a full pipe never stops the
line. What waits is bounded; what does not fit is dropped and counted, and the count is said in the next line."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import orjson

from observability.outputs import LogFile, Output, Stderr
from policies.json import Object

_CAPACITY: Final = 10_000
_SPARE: Final = 1_000
"""Further lines of the process's own log: a flood of requests must not hide why it came."""
_GATHER: Final = 0.02
"""Seconds the thread gathers lines before it writes them in one call. Woken for each line it would fight the event loop
for the interpreter lock: every C call that lets go of it, the key's HMAC first, then waits for the thread's turn."""
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
"""What JSON may hold as it is, and terminals and editors may obey: C1 controls (some are escape sequences of one
character), separators of lines, marks of direction, what cannot be seen."""


class LineSink(Protocol):
    """Takes one JSON object per event."""

    def write(self, line: Object) -> None: ...

    @property
    def dropped(self) -> int:
        """Lines that were thrown away since the start."""
        ...

    def close(self) -> None: ...


class NoLines:
    """`access_log: off`."""

    def write(self, line: Object) -> None:
        """Nothing."""

    @property
    def dropped(self) -> int:
        """See LineSink."""
        return 0

    def close(self) -> None:
        """Nothing."""


def json_line(line: Object) -> str:
    """`line` as JSON without control characters. JSONEncodeError for what is none."""
    data = orjson.dumps(line)
    text = data.decode()
    if data.isascii() and b"\x7f" not in data:
        return text
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class LineWriter:
    """Lines to `path`, or to stderr where it is None, as `render` writes them; the rest as in LogFile."""

    def __init__(
        self,
        path: Path | None,
        *,
        render: Callable[[Object], str] = json_line,
        most_bytes: int = 0,
        keep: int = 1,
    ) -> None:
        self._render = render
        self._waiting: deque[Object] = deque()
        self._refused = 0  # by the callers' threads; `_lost` by the writer's only
        self._lost = 0
        self._said = 0
        self._torn = False
        self._closing = False
        self._wake = threading.Event()
        self._out: Output = Stderr() if path is None else LogFile(path, most_bytes, keep)
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """See LineSink."""
        return self._refused + self._lost

    def write(self, line: Object) -> None:
        """Keep one line for the thread; never blocks."""
        self._keep(line, _CAPACITY)

    def write_own(self, line: Object) -> None:
        """The same for a line of the process's own log, from any thread."""
        self._keep(line, _CAPACITY + _SPARE)

    def _keep(self, line: Object, most: int) -> None:
        if len(self._waiting) >= most:
            self._refused += 1
            return
        self._waiting.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what waits, then stop; gives up on an output that takes nothing for five seconds."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            if not self._closing:
                time.sleep(_GATHER)
            # Cleared before the lines are taken: one that comes in between wakes the thread again.
            self._wake.clear()
            self._write_waiting()
        self._write_waiting()
        self._out.close()

    def _write_waiting(self) -> None:
        blocks = [self._block(self._waiting.popleft()) for _ in range(len(self._waiting))]
        if self.dropped > self._said:
            dropped, self._said = self.dropped - self._said, self.dropped
            blocks.append(self._block({"event": "dropped", "lines": dropped}))
        data = (b"\n" if self._torn else b"") + b"".join(blocks)
        if not data:
            return
        rest = memoryview(data)
        try:
            self._out.prepare(len(data))
            while rest:  # a pipe may take less than it is offered; None: it is non-blocking and full
                rest = rest[self._out.write(rest) or 0 :]
            self._torn = False
        except OSError:
            self._lost += len(blocks)
            # The next line must not go on where this one broke off.
            self._torn = bool(rest) and rest.nbytes < len(data) and data[len(data) - rest.nbytes - 1] != ord("\n")

    def _block(self, line: Object) -> bytes:
        """`line` as bytes. One that cannot be written is counted as dropped: nothing may end the thread."""
        try:
            return self._render(line).encode() + b"\n"
        except (ValueError, TypeError):  # JSONEncodeError is a TypeError, UnicodeEncodeError a ValueError
            self._lost += 1
            return b""
