"""The terminal while `top` has it: another screen, no cursor, keys as they are pressed; at the end all is as before."""

from __future__ import annotations

import functools
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from edge.cli.live.screen import Line, Style

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_CODES: Final = {Style.TITLE: "\x1b[1m", Style.HEADING: "\x1b[7m", Style.ALERT: "\x1b[1;31m"}
_PLAIN: Final = "\x1b[0m"
_COLUMNS: Final = 80
_LINES: Final = 24
_LOOK: Final = 0.2
"""Seconds after which the window's size is looked at again."""


class Terminal:
    """Standard input and output, which must be a terminal's. `colour`: whether styles may be shown."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._keys = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._restore: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        if self._keys is not None:
            before = termios.tcgetattr(self._keys)
            self._restore = functools.partial(termios.tcsetattr, self._keys, termios.TCSADRAIN, before)
            tty.setcbreak(self._keys)
            mode = termios.tcgetattr(self._keys)
            mode[6][termios.VSUSP] = b"\0"  # stopped with Ctrl-Z it would leave the terminal as it is now
            termios.tcsetattr(self._keys, termios.TCSANOW, mode)
        self._write(_ENTER)
        return self

    def __exit__(self, *_: object) -> None:
        self._write(_LEAVE)
        self._restore()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, now; what $COLUMNS says does not follow the window."""
        size = os.get_terminal_size(sys.stdout.fileno())
        return size.columns or _COLUMNS, size.lines or _LINES

    def show(self, lines: Sequence[Line]) -> None:
        """Draw from the top; what was there before is gone."""
        self._write("\x1b[H" + "\x1b[K\n".join(painted(line, colour=self._colour) for line in lines) + "\x1b[K\x1b[J")

    def wait(self, seconds: float) -> str:
        """The key that was pressed; "" after `seconds`, or as soon as the window has another size."""
        end, size = time.monotonic() + seconds, self.size
        while (left := end - time.monotonic()) > 0 and self.size == size:
            if self._keys is None:
                time.sleep(min(left, _LOOK))
            elif select.select([self._keys], [], [], min(left, _LOOK))[0]:
                pressed = os.read(self._keys, 64).decode(errors="replace")
                return pressed[:1] or "q"  # nothing to read: the terminal is gone
        return ""

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def painted(line: Line, *, colour: bool) -> str:
    """The line with its style. Pure."""
    code = _CODES.get(line.style, "") if colour else ""
    return f"{code}{line.text}{_PLAIN}" if code else line.text


def wants_colour(environ: Mapping[str, str]) -> bool:
    """no-color.org: set and not empty means none; neither does a dumb terminal. Pure."""
    return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
