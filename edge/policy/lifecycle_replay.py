"""Replays recorded decisions through a candidate in batches: a thread reads the files, the child does the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import orjson

from edge.policy.errors import PolicyToolError
from edge.policy.lifecycle_types import Progress
from edge.policy.lifecycle_workshop import Workshop
from observability.decisions.reader import iterate
from policies.bundle import Bundle
from policies.lifecycle.report import Report
from policies.record import Record

_BATCH: Final = 500
MOST: Final = 10_000
"""Records that are replayed unless somebody asks for more: a few seconds' worth."""


async def replay(
    workshop: Workshop,
    bundle: Bundle,
    folder: Path,
    *,
    limit: int | None = MOST,
    since: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare what `bundle` says with what was recorded in `folder`, the newest `limit` records of those from `since`.

    PolicyToolError if the candidate cannot be run to the end, or the log not be read.
    """
    report = Report()
    records = iterate(folder, limit=limit, since=since)
    done = 0
    async with workshop.running(bundle) as policy:
        while batch := await asyncio.to_thread(_next, records):
            asked = [record for record in batch if not report.skip(record)]
            answers = await policy.evaluate_many([orjson.dumps(record.input) for record in asked]) if asked else []
            for record, answer in zip(asked, answers, strict=True):
                report.add(record, answer)
            done += len(batch)
            if progress is not None:
                progress(done)
    return report


def _next(records: Iterator[Record]) -> list[Record]:
    try:
        return list(islice(records, _BATCH))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PolicyToolError(f"the decision log cannot be read ({reason})", "check its folder's owner") from None
