"""Entries as rows of the journal, and what a stretch of the journal says is still open. Pure.

A `Row` is a tuple in the order of `COLUMNS`: one INSERT takes many, whatever their kinds. No value a caller chose can
make a row that the database refuses, since one such row would hold up all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from edge.ledger.entry import RECOVERED, VOID, Hold, Progress, Settled

HOLD: Final = 1
PROGRESS: Final = 2
SETTLE: Final = 3

DAY: Final = 86_400
_MOST: Final = 1 << 53  # far beyond any real count, and sums of many still fit 64 bits


class Row(NamedTuple):
    """One row of `ledger`, without its number; the fields are its columns."""

    kind: int
    instance: str
    request_id: str
    at: float
    day: int
    input: int
    output: int
    requests: int = 0
    errors: int = 0
    gpu_ms: int = 0
    ended_at: float | None = None
    key: str | None = None
    owner: str | None = None
    groups: str | None = None
    listener: str | None = None
    model: str | None = None
    rate_class: str | None = None
    engine: str | None = None
    operation: str | None = None
    stream: int | None = None
    cached: int | None = None
    status: int | None = None
    reason: str | None = None
    finish: str | None = None
    source: str | None = None


COLUMNS: Final = Row._fields


def day_of(at: float) -> int:
    """Days since the epoch, UTC."""
    return int(at // DAY)


def hold_row(hold: Hold, instance: str) -> Row:
    """OverflowError or ValueError if `at` is no instant."""
    return Row(
        kind=HOLD,
        instance=instance,
        request_id=_text(hold.request_id),
        at=hold.at,
        day=day_of(hold.at),
        input=_count(hold.input),
        output=_count(hold.output),
        key=_text(hold.key),
        owner=_text(hold.owner),
        groups=groups_text(hold.groups),
        listener=_text(hold.listener),
        model=_text(hold.model),
        rate_class=_text(hold.rate_class),
        engine=_text(hold.engine),
        operation=_text(hold.operation),
        stream=int(hold.stream),
    )


def progress_row(progress: Progress, instance: str) -> Row:
    return Row(
        kind=PROGRESS,
        instance=instance,
        request_id=_text(progress.request_id),
        at=progress.at,
        day=day_of(progress.at),
        input=_count(progress.input),
        output=_count(progress.output),
    )


def settle_row(hold: Row, settled: Settled) -> Row:
    """The settlement of the hold `hold`. A void one counts for nothing, whatever its figures say."""
    if settled.reason == VOID:
        settled = settled._replace(input=0, output=0, cached=None, gpu_ms=0)
    return hold._replace(
        kind=SETTLE,
        model=hold.model or _text(settled.model),
        ended_at=settled.at,
        requests=int(settled.reason != VOID),
        errors=int(settled.failed),
        input=_count(settled.input),
        output=_count(settled.output),
        cached=None if settled.cached is None else _count(settled.cached),
        gpu_ms=_count(settled.gpu_ms),
        status=settled.status,
        reason=_text(settled.reason),
        finish=_text(settled.finish),
        source=_text(settled.source),
    )


def set_off(settlement: Row, charged: Row) -> Row:
    """What `settlement` adds to `charged`, which somebody else settled the same hold with: the sum is the truth."""
    return settlement._replace(
        requests=settlement.requests - charged.requests,
        errors=settlement.errors - charged.errors,
        input=settlement.input - charged.input,
        output=settlement.output - charged.output,
        gpu_ms=settlement.gpu_ms - charged.gpu_ms,
    )


def void_row(hold: Row, now: float) -> Row:
    """The settlement of a hold whose request went no further."""
    return settle_row(hold, Settled(hold.request_id, now, 0, 0, status=0, reason=VOID))


def recovered_row(hold: Row, last: Row | None, now: float) -> Row:
    """The settlement of a hold whose instance is gone: what its last progress says, else its input alone.

    The engine worked at least until that progress: from the hold to there is its time.
    """
    known = last or hold._replace(output=0)
    figures = Settled(
        hold.request_id,
        now,
        known.input,
        known.output,
        gpu_ms=round((known.at - hold.at) * 1000),
        status=0,
        reason=RECOVERED,
        source="progress" if last else "none",
    )
    return settle_row(hold, figures)


def still_open(rows: Iterable[Row]) -> list[tuple[Row, Row | None]]:
    """Of rows in the order of their numbers: the holds without a settlement, each with its last progress."""
    found: dict[str, tuple[Row, Row | None]] = {}
    for row in rows:
        match row.kind:
            case 1:
                found[row.request_id] = (row, None)
            case 2 if row.request_id in found:
                found[row.request_id] = (found[row.request_id][0], row)
            case 3:
                found.pop(row.request_id, None)
            case _:
                pass
    return list(found.values())


@lru_cache(maxsize=1024)
def groups_text(groups: tuple[str, ...]) -> str:
    """Groups as they are stored: JSON, sorted, so that equal sets are equal texts."""
    return json.dumps(sorted(set(groups)))


def _count(number: int) -> int:
    return min(max(number, 0), _MOST)


def _text(text: str) -> str:
    # NUL (PostgreSQL) and lone surrogates (both) are refused by databases, and neither is printable.
    return (
        text
        if text.isprintable()
        else text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
