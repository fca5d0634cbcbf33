"""What a model may once have called a function with, and what it may not have."""

from __future__ import annotations

from typing import Final

from policies.json import JSON, Object

_LARGE: Final = 4 * 1024 * 1024

WRITTEN: Final[dict[str, Object]] = {
    "a file": {"path": "notes.md", "content": "line\n" * 200_000},
    "a schema of its own": {"content": {"$ref": "http://169.254.169.254/", "$dynamicRef": "//host/x"}},
    "a large table": {"rows": list(range(40_000))},
}


def _nested(levels: int) -> JSON:
    value: JSON = 1
    for _ in range(levels):
        value = [value]
    return value


TOO_MUCH: Final[dict[str, JSON]] = {
    "too large": {"content": "x" * _LARGE},
    "too deep": {"a": _nested(32)},
    "too many parts": {"rows": list(range(50_000))},
    "a text": "{}",
    "a list": [],
}
