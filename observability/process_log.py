"""The process's own log: what Python's `logging` is told, as JSON lines on stderr.

A traceback is reduced to its places (file, line, function) and the exception's class: an exception's text may quote
what a caller sent.
"""

from __future__ import annotations

import logging
import sys
import traceback

import orjson

from policies.json import JSON, Object


class JsonFormatter(logging.Formatter):
    """One JSON object per record; control characters are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
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
        return orjson.dumps(line).decode()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send everything that is logged to stderr, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
