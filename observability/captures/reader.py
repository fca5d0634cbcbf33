"""Reads and purges captures, also while they are written: blocking, so for commands and threads."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from observability.captures.document import WHOLE
from observability.captures.log import CAPTURES
from observability.decisions.reader import blocks, lines_of
from observability.decisions.segments import LONGEST, is_held, listing
from policies.json import JSON, Object

_MOST_EACH: Final = 10_000


def find(folder: Path, request_id: str) -> Object | None:
    """The capture of one request: all of it, else the request alone if its end was never written; None if neither."""
    found = [document for line in lines_of(folder, request_id, CAPTURES) if (document := _read(line)) is not None]
    return max(found, key=lambda document: document.get("part") == WHOLE, default=None)


def newest(folder: Path, limit: int) -> list[Object]:
    """What is captured, without texts, the newest first, at most `limit`."""
    found = _last(folder, min(limit, _MOST_EACH))
    return [_head(document) for document in heapq.nlargest(limit, found, key=_at)]


def _last(folder: Path, each: int) -> Iterator[Object]:
    """The last `each` whole captures of every file."""
    for file in listing(folder, CAPTURES):
        count = 0
        for block in blocks(file.path, backward=True):
            for line in reversed(block.split(b"\n")):
                document = _read(line)
                if document is not None and document.get("part") == WHOLE and count < each:
                    count += 1
                    yield document
            if count >= each:
                break


def _head(document: Object) -> Object:
    return {key: document.get(key) for key in ("id", "at", "capture", "record")}


def purge(folder: Path, before: float, request_id: str | None = None) -> int:
    """Remove captures from before `before`, seconds since the epoch (only those of one request, if it is given);
    returns how many lines went.

    A file may be written at this moment, so its lines are overwritten where they stand: with spaces, which are no
    record. A file that is left with none, and that nobody writes, is removed.
    """
    return sum(_purge(file.path, before, request_id) for file in listing(folder, CAPTURES))


def _purge(path: Path, before: float, request_id: str | None) -> int:
    gone, left, offset = 0, False, 0
    held = is_held(path)
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        while line := file.readline(2 * LONGEST):
            document = _read(line)
            if document is not None and _at(document) < before and request_id in {None, document.get("id")}:
                file.seek(offset)
                file.write(b" " * (len(line) - 1) + b"\n")
                gone += 1
            else:
                left = left or bool(line.strip())
            offset += len(line)
            file.seek(offset)
        file.flush()
        os.fsync(file.fileno())
    if not left and not held:
        path.unlink(missing_ok=True)
    return gone


def _read(line: bytes) -> Object | None:
    try:
        document: JSON = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and "capture" in document else None


def _at(document: Object) -> float:
    at = document.get("at")
    return float(at) if isinstance(at, int | float) else 0.0
