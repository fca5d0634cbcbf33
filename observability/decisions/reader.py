"""Reads the decision log, also while it is written, torn or pruned: blocking, so for commands and threads.

However large the log is, a reader holds one block of each file that overlaps in time. Lines that are no records are
passed over: a torn write, or one of a later version.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from observability.decisions.log import DROPPED
from observability.decisions.segments import DECISIONS, LONGEST, listing
from policies.json import Object, as_count
from policies.record import Record, read_record

_AT: Final = re.compile(rb'\{"id":"(?:[^"\\]|\\.){0,1024}","at":(\d+(?:\.\d+)?),')
"""How a line begins that the log wrote."""
_BLOCK: Final = 256 * 1024
_GARBAGE: Final = b"\0"
"""Stands for a part of a line that is longer than any record: with it, the rest of the line is no JSON either."""


@dataclass(frozen=True, slots=True)
class _Window:
    """`since` <= at < `until`."""

    since: float
    until: float

    def holds(self, at: float) -> bool:
        return self.since <= at < self.until


_ALWAYS: Final = _Window(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class LogStats:
    """What is in the folder. `dropped` records are known to be missing; `oldest` and `newest` are times of records."""

    files: int
    size: int
    records: int
    dropped: int
    oldest: float | None
    newest: float | None


def iterate(
    folder: Path,
    *,
    newest_first: bool = True,
    limit: int | None = None,
    since: float | None = None,
    until: float | None = None,
) -> Iterator[Record]:
    """The records with `since` <= at < `until` (seconds since the epoch), at most `limit`.

    Nothing is read before the first is asked for. Files are interleaved by time, each is read from its end or its
    beginning; a record that was written late (one that an OPA of the fleet reported) stands where it was written. A
    folder that is not there is an empty log.
    """
    wanted = _Window(-math.inf if since is None else since, math.inf if until is None else until)
    return itertools.islice(_merged(folder, wanted, newest_first=newest_first), limit)


def find(folder: Path, request_id: str) -> list[Record]:
    """All records of one request, in the order they were taken: several if the policy redirected it."""
    found = [record for line in lines_of(folder, request_id) if (record := _record(line)) is not None]
    return sorted(found, key=lambda record: (record.at, record.redirect))


def lines_of(folder: Path, request_id: str, name: str = DECISIONS) -> Iterator[bytes]:
    """The lines of one request in the files of log `name`."""
    try:
        start = b'{"id":' + orjson.dumps(request_id) + b","
    except orjson.JSONEncodeError:  # a lone surrogate: no record has such an id
        return
    for file in listing(folder, name):
        for block in blocks(file.path):
            yield from _starting(block, start)


def stats(folder: Path) -> LogStats:
    """How much is kept. Reads all of it."""
    files = listing(folder)
    records, dropped = 0, 0
    for file in files:
        for block in blocks(file.path):
            records += block.count(b"\n")
            for line in _starting(block, b'{"event":'):
                records -= 1
                dropped += _dropped(line)
    oldest, newest = (next(iterate(folder, newest_first=order, limit=1), None) for order in (False, True))
    return LogStats(
        files=len(files),
        size=sum(file.size for file in files),
        records=records,
        dropped=dropped,
        oldest=oldest.at if oldest else None,
        newest=newest.at if newest else None,
    )


def _merged(folder: Path, wanted: _Window, *, newest_first: bool) -> Iterator[Record]:
    """All records. A file is opened once no record of those before it comes sooner than its first."""
    sign = -1 if newest_first else 1
    closed: list[tuple[float, Path]] = []
    for file in listing(folder):
        first = next(_records(file.path, wanted, newest_first=newest_first), None)
        if first is not None:
            closed.append((sign * first.at, file.path))
    closed.sort(reverse=True)
    opened: list[tuple[float, int, Record, Iterator[Record]]] = []
    count = 0
    while closed or opened:
        while closed and (not opened or closed[-1][0] <= opened[0][0]):
            records = _records(closed.pop()[1], wanted, newest_first=newest_first)
            count += 1
            _push(opened, sign, count, records)
        if opened:
            _, number, record, records = heapq.heappop(opened)
            yield record
            _push(opened, sign, number, records)


def _push(
    heap: list[tuple[float, int, Record, Iterator[Record]]], sign: int, number: int, records: Iterator[Record]
) -> None:
    record = next(records, None)
    if record is not None:
        heapq.heappush(heap, (sign * record.at, number, record, records))


def _records(path: Path, wanted: _Window, *, newest_first: bool) -> Iterator[Record]:
    for block in blocks(path, backward=newest_first):
        lines = block.split(b"\n")
        for line in reversed(lines) if newest_first else lines:
            record = _record(line, wanted)
            if record is not None:
                yield record


def _record(line: bytes, wanted: _Window = _ALWAYS) -> Record | None:
    """The record in `line`, None if it is none or at another time; that is seen without reading all of the line."""
    at = _AT.match(line)
    if at is not None and not wanted.holds(float(at[1])):
        return None
    document = _object(line)
    record = None if document is None else read_record(document)
    return record if record is not None and wanted.holds(record.at) else None


def _object(line: bytes) -> Object | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _dropped(line: bytes) -> int:
    document = _object(line) or {}
    return (as_count(document.get("records")) or 0) if document.get("event") == DROPPED else 0


def _starting(block: bytes, start: bytes) -> Iterator[bytes]:
    """The lines of `block` that begin with `start`; the rest is searched, not read."""
    text, needle = b"\n" + block, b"\n" + start
    at = text.find(needle)
    while at >= 0:
        end = text.index(b"\n", at + 1)
        yield text[at + 1 : end]
        at = text.find(needle, end)


def blocks(path: Path, *, backward: bool = False) -> Iterator[bytes]:
    """The file in pieces of whole lines, from its beginning or its end; what has no end of line is left out."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # not found: pruned at this moment
        yield from _backward(file) if backward else _forward(file)


def _forward(file: BinaryIO) -> Iterator[bytes]:
    carry = b""
    while block := file.read(_BLOCK):
        whole, newline, rest = (carry + block).rpartition(b"\n")
        if newline:
            yield whole + newline
        carry = rest if len(rest) <= LONGEST else _GARBAGE


def _backward(file: BinaryIO) -> Iterator[bytes]:
    position = file.seek(0, 2)
    carry = b""
    ended = False
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        block = file.read(size) + carry
        if not ended:  # what stands behind the last end of line is torn, or being written
            whole, newline, _ = block.rpartition(b"\n")
            ended = bool(newline)
            block = whole + newline
        head, newline, whole = block.partition(b"\n")
        if position == 0:
            yield block
        elif len(block) > len(head) + 1:
            yield whole
            carry = head + newline
        else:
            carry = block if len(block) <= LONGEST else _GARBAGE + b"\n"
