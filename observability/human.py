"""Lines for people at a terminal. Pure; each says a part of what the JSON line says, and nothing else.

Everything in them may come from callers or engines, so every field is cleaned: a terminal obeys only our own colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Final

from policies.json import Object, as_list, as_object, as_str
from policies.lifecycle.text import clean, words

_RED, _GREEN, _YELLOW, _DIM = "31", "32", "33", "2"
_LEVELS: Final[Mapping[str, str]] = {"warning": _YELLOW, "error": _RED, "critical": _RED, "debug": _DIM}
_CALLER: Final = 14
_MODEL: Final = 26
_LEFT: Final = 499
_FAILED: Final = 500
_REFUSED: Final = 400
_SECOND: Final = 1000.0
_LONG: Final = 500


def human_lines(*, colour: bool, zone: tzinfo | None = None) -> Callable[[Object], str]:
    """The renderer for `LineWriter`; times in `zone`, None = the machine's."""
    return partial(human_line, colour=colour, zone=zone)


def human_line(line: Object, *, colour: bool, zone: tzinfo | None = UTC) -> str:
    """`line` on one line of text."""
    paint = _painted if colour else _plain
    match line.get("event"):
        case "access":
            text = _access(line, paint)
        case "log":
            text = _log(line, paint)
        case _:
            rest: Object = {key: value for key, value in line.items() if key not in {"event", "at"}}
            text = f"{words(line.get('event'))} {words(rest)}"
    at = line.get("at")
    return f"{paint(_time(at, zone), _DIM)} {text}" if isinstance(at, int | float) else text


def _access(line: Object, paint: Callable[[str, str], str]) -> str:
    status = line.get("status")
    ms = as_object(line.get("ms"))
    caller = clean(as_str(line.get("caller")), _CALLER) or "-"
    model = as_str(line.get("model")) or as_str(line.get("requested_model"))
    what = clean(model or f"{as_str(line.get('method'))} {as_str(line.get('route'))}".strip(), _MODEL) or "-"
    reason = " ".join(clean(as_str(line.get(name)), _LONG) for name in ("reason", "detail") if line.get(name))
    columns = (
        paint(f"{status}" if isinstance(status, int) else "---", _colour(status)),
        f"{caller:<{_CALLER}}",
        f"{what:<{_MODEL}}",
        f"{_tokens(line):>13}",
        f"{_duration(ms.get('first_byte')):>8}",
        f"{_duration(ms.get('total')):>8}",
        paint(reason, _colour(status)) if reason else "",
    )
    return " ".join(columns).rstrip()


def _log(line: Object, paint: Callable[[str, str], str]) -> str:
    level = as_str(line.get("level"))
    text = f"{paint(f'{clean(level):<7}', _LEVELS.get(level, _GREEN))} {clean(as_str(line.get('message')), _LONG)}"
    if error := as_str(line.get("error")):
        frames = as_list(line.get("frames"))
        text += f" ({clean(error)}{f' at {clean(as_str(frames[-1]))}' if frames else ''})"
    return text


def _tokens(line: Object) -> str:
    if "tokens_out" not in line:
        return ""
    read, written = line.get("tokens_in"), line.get("tokens_out")
    return f"{read if isinstance(read, int) else '?'}→{written if isinstance(written, int) else '?'} tok"


def _duration(ms: object) -> str:
    if not isinstance(ms, int | float):
        return "-"
    return f"{ms:.0f} ms" if ms < _SECOND else f"{ms / _SECOND:.1f} s"


def _colour(status: object) -> str:
    if not isinstance(status, int) or status == _LEFT:
        return _DIM
    return _RED if status >= _FAILED else _YELLOW if status >= _REFUSED else _GREEN


def _time(at: float, zone: tzinfo | None) -> str:
    try:
        return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def _painted(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def _plain(text: str, _: str) -> str:
    return text
