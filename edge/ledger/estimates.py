"""How far estimates of prompts were from what engines counted: from the journal, which has both. Blocking.

The hold of a request has the estimate, its settlement the count. Requests that were rolled up are not in it.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from typing import Final, NamedTuple

from edge.ledger import statements as sql
from edge.ledger.usage import Span
from edge.store.database import Database

_QUANTILE: Final = 0.95
_AT_ONCE: Final = 1_000


class Errors(NamedTuple):
    """Of one model, in percent of what the engine counted; above 0 = too much was held."""

    model: str
    requests: int
    mean: float
    mean_absolute: float
    p95_absolute: float


def errors(database: Database, span: Span) -> list[Errors]:
    """By model, of requests whose engine counted and that nobody but their gateway settled. StateError."""
    # An array: eight bytes a request, of which a month may have millions.
    by_model: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
    with database.reading() as connection:
        asked = sql.ESTIMATES.execution_options(yield_per=_AT_ONCE)
        for row in connection.execute(asked, {"first": span.first, "end": span.end}):
            by_model[row.model].append(100.0 * (row.estimated - row.counted) / row.counted)
    return [summary(model, found) for model, found in sorted(by_model.items())]


def summary(model: str, found: array[float]) -> Errors:
    """Of at least one error in percent. Pure."""
    size = sorted(map(abs, found))
    p95 = size[math.ceil(_QUANTILE * len(size)) - 1]
    return Errors(model, len(found), math.fsum(found) / len(found), math.fsum(size) / len(size), p95)
