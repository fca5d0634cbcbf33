"""Who used how much: sums over whole days (UTC), the same before and after a roll-up. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from edge.identity.duration import seconds
from edge.ledger import statements as sql
from edge.ledger.rows import DAY, day_of
from edge.store.database import Database

By: TypeAlias = Literal["day", "key", "owner", "model", "engine"]
BY: Final[tuple[By, ...]] = get_args(By)
_EPOCH: Final = date(1970, 1, 1).toordinal()


class Used(NamedTuple):
    """One line: `of` holds the values of the columns asked for, in that order; a day is `2026-01-31`."""

    of: tuple[str, ...]
    requests: int
    errors: int
    input: int
    output: int
    gpu_ms: int

    @property
    def total(self) -> int:
        """Tokens read and written."""
        return self.input + self.output


class Span(NamedTuple):
    """Days since the epoch: from `first` to before `end`."""

    first: int
    end: int


def used(database: Database, by: Sequence[By], span: Span) -> list[Used]:
    """Usage in `span` by `by`, without lines of which nothing is to be told; no `by`: one line for all. StateError."""
    with database.reading() as connection:
        found = connection.execute(sql.usage(by), {"first": span.first, "end": span.end}).all()
    lines = []
    for row in found:
        of = tuple(_word(column, getattr(row, column)) for column in by)
        lines.append(Used(of, row.requests or 0, row.errors or 0, row.input or 0, row.output or 0, row.gpu_ms or 0))
    return [line for line in lines if any(line[1:])]


def key_names(database: Database) -> dict[str, str]:
    """The names of the keys that still exist, by id. StateError."""
    with database.reading() as connection:
        return {row.id: row.name for row in connection.execute(sql.KEY_NAMES)}


def span_of(since: str, until: str | None, now: float) -> Span:
    """`7d` (that many days, today included) or `2026-01-31`; `until` is the last day meant, None = today.

    ValueError says what to write instead.
    """
    today = day_of(now)
    end = (today if until is None else _day(until, today)) + 1
    first = _day(since, today)
    if first >= end:
        raise ValueError("--since must not be after --until")
    return Span(first, end)


def day_text(day: int) -> str:
    """Days since the epoch as `2026-01-31`."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def _day(text: str, today: int) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        pass
    try:
        span = seconds(text)
    except ValueError:
        raise ValueError("write a day as 2026-01-31, or a time back from now as 7d or 12h") from None
    return today - max(0, -(-span // DAY) - 1)


def _word(column: str, value: object) -> str:
    return day_text(value) if column == "day" and isinstance(value, int) else str(value)
