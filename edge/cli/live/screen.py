"""A snapshot (`GET /live`) as the lines of a screen of some width and height. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from edge.cli.live.table import Column, fit, table
from edge.identity.duration import spell
from policies.json import JSON, Object, as_list, as_object, as_str

_MIB: Final = 1 << 20
_MS: Final = 1000
_ENGINES: Final = (
    Column("ENGINE", soft=True),
    Column("STATE"),
    Column("RUNNING", right=True),
    Column("WAITING", right=True),
    Column("TOK/S", right=True, rank=1),
    Column("LOADED", rank=2, soft=True),
)
_CALLERS: Final = (
    Column("CALLER", soft=True),
    Column("IN FLIGHT", right=True),
    Column("TOK/S", right=True, rank=2),
    Column("TOKENS", right=True, rank=1),
)
_REQUESTS: Final = (
    Column("SECONDS", right=True),
    Column("PHASE"),
    Column("CALLER", soft=True),
    Column("KEY", rank=5),
    Column("MODEL", rank=1, soft=True),
    Column("ENGINE", rank=4, soft=True),
    Column("IN", right=True, rank=3),
    Column("OUT", right=True),
    Column("TOK/S", right=True, rank=2),
    Column("LISTENER", rank=6),
)
_SHARE: Final = 4
"""Engines and callers get a quarter of the screen each at most, requests get the rest."""


class Style(Enum):
    """How a line is meant; a terminal without colours shows them all alike."""

    PLAIN = "plain"
    TITLE = "title"
    HEADING = "heading"
    ALERT = "alert"


class Line(NamedTuple):
    """One line of the screen."""

    text: str
    style: Style = Style.PLAIN


def screen(document: Object, width: int, height: int | None = None, note: str = "") -> list[Line]:
    """At most `height` lines (None = as many as there are), each at most `width` cells. `note` is for the first one."""
    engines, callers = _rows(document, "engines"), _rows(document, "callers")
    share = None if height is None else max(2, (height - 2) // _SHARE)
    lines = [Line(fit(_title(as_object(document.get("process")), note), width), Style.ALERT if note else Style.TITLE)]
    lines += _section(_ENGINES, [_engine(one) for one in engines], width, share, [not one.get("up") for one in engines])
    lines += _section(_callers_columns(document), [_caller(one) for one in callers], width, share)
    requests = _rows(document, "requests")
    room = None if height is None else height - len(lines)
    hidden = _count(document.get("requests_left_out"))
    lines += _section(_REQUESTS, [_request(one) for one in requests], width, room, hidden=hidden)
    return lines if height is None else lines[:height]


def _section(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int,
    room: int | None,
    alerts: Sequence[bool] = (),
    *,
    hidden: int = 0,
) -> list[Line]:
    """A heading and what fits of the rows in `room` lines; what does not is counted. Nothing where there is no row."""
    if not rows or (room is not None and room < 2):  # noqa: PLR2004 - a heading alone says nothing
        return []
    shown = len(rows) if room is None else min(len(rows), room - 1)
    if len(rows) > shown or hidden:
        shown = min(shown, room - 2) if room is not None else shown
        hidden += len(rows) - shown
    heading, *lines = table(columns, rows[:shown], width)
    body = [
        Line(text, Style.ALERT if at < len(alerts) and alerts[at] else Style.PLAIN) for at, text in enumerate(lines)
    ]
    more = [Line(fit(f"... {hidden} more", width))] if hidden else []
    return [Line(heading, Style.HEADING), *body, *more]


def _title(process: Object, note: str) -> str:
    if note:
        return f"llm-gateway  {note}"
    memory, lag = process.get("memory_bytes") or process.get("memory_peak_bytes"), process.get("loop_lag_seconds")
    parts = [
        f"llm-gateway {as_str(process.get('version'))}",
        "DRAINING" if process.get("draining") else "",
        f"up {spell(_number(process.get('uptime_seconds')))}",
        f"in flight {_count(process.get('in_flight'))}",
        f"memory {_number(memory) / _MIB:.0f} MiB" if memory else "",
        f"loop lag {_number(lag) * _MS:.1f} ms" if lag is not None else "",
    ]
    return "   ".join(part for part in parts if part)


def _callers_columns(document: Object) -> tuple[Column, ...]:
    """The last column says for how long tokens were counted, until that is a minute."""
    *others, tokens = _CALLERS
    seconds = _number(document.get("recent_seconds"))
    return (*others, Column(f"TOK/{seconds:.0f}S", tokens.right, tokens.rank))


def _engine(engine: Object) -> tuple[str, ...]:
    elsewhere = _count(engine.get("running_elsewhere"))
    running = f"{_count(engine.get('running'))}{f'+{elsewhere}' if elsewhere else ''}/{_count(engine.get('slots'))}"
    state = "down" if not engine.get("up") else "loading" if engine.get("loading") else "up"
    return (
        as_str(engine.get("name")),
        state,
        running,
        str(_count(engine.get("waiting"))),
        _rate(engine.get("tokens_per_second")),
        ", ".join(map(as_str, as_list(engine.get("models")))) or "-",
    )


def _caller(caller: Object) -> tuple[str, ...]:
    return (
        as_str(caller.get("caller")),
        str(_count(caller.get("in_flight"))),
        _rate(caller.get("tokens_per_second")),
        f"{_count(caller.get('tokens_recent')):,}",
    )


def _request(request: Object) -> tuple[str, ...]:
    position = _count(request.get("position"))
    return (
        f"{_number(request.get('seconds')):.1f}",
        as_str(request.get("phase")) + (f" {position}" if position else ""),
        _text(request.get("caller")),
        _text(request.get("key_id")),
        _text(request.get("model")),
        _text(request.get("engine")),
        _tokens(request.get("tokens_in")),
        _tokens(request.get("tokens_out")),
        _rate(request.get("tokens_per_second")),
        _text(request.get("listener")),
    )


def _rows(document: Object, name: str) -> list[Object]:
    return [as_object(one) for one in as_list(document.get(name))]


def _text(value: JSON) -> str:
    return as_str(value) or "-"


def _tokens(value: JSON) -> str:
    return "-" if value is None else f"{_count(value):,}"


def _rate(value: JSON) -> str:
    return "-" if not value else f"{_number(value):.1f}"


def _count(value: JSON) -> int:
    return int(_number(value))


def _number(value: JSON) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
