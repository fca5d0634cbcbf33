"""The process's own log: what Python's `logging` is told, as lines beside the access lines, in one order with them.

A traceback is reduced to its places (file, line, function) and the exception's class: an exception's text may quote
what a caller sent.
"""

from __future__ import annotations

import logging
import traceback
from typing import Final

from observability.lines import LineWriter
from policies.json import JSON, Object

_OURS: Final = ("edge", "engines", "observability", "policies")
_NOISY: Final = ("asyncio", "alembic.runtime.plugins")  # five lines of plugins at the start after an upgrade


def log_line(record: logging.LogRecord) -> Object:
    """`record` as a line."""
    line: Object = {
        "event": "log",
        "at": round(record.created, 3),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    if record.exc_info and record.exc_info[0] is not None:
        line["error"] = record.exc_info[0].__name__
        frames: list[JSON] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])
        ]
        line["frames"] = frames
    return line


class LineHandler(logging.Handler):
    """Hands records to `lines`; never blocks and never fails."""

    def __init__(self, lines: LineWriter) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler. What cannot be formatted is told without its arguments: those may be anybody's."""
        try:
            line = log_line(record)
        except Exception:  # noqa: BLE001 - logging itself would print the traceback and the arguments
            line = {"event": "log", "at": round(record.created, 3), "level": "error", "logger": record.name,
                    "message": "a log line could not be formatted"}  # fmt: skip
        self._lines.write_own(line)


def log_to(lines: LineWriter, level: int = logging.INFO) -> None:
    """Send everything that is logged from `level` on to `lines`. Below INFO only what is ours: what libraries tell
    debuggers quotes requests."""
    logging.basicConfig(level=max(level, logging.INFO), handlers=[LineHandler(lines)], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
