"""A finished request as one line for people. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

from edge.cli.live.table import fit, width_of
from policies.json import JSON, Object, as_object, as_str

_MS: Final = 1000
_LONGEST: Final = 40
_LATE: Final = 0.1


def line_of(request: Object, zone: tzinfo | None = None) -> str:
    """When it ended (in `zone`; None = this machine's), what became of it, who, what, how many tokens, how long."""
    spent = as_object(request.get("ms"))
    parts = [
        _time(_number(request.get("at")), zone),
        fit(str(request.get("status", "-")), _LONGEST),
        f"{_number(spent.get('total')) / _MS:8.3f}s",
        _padded(_text(request.get("caller")), 12),
        _padded(_text(request.get("model")), 20),
        _padded(_text(request.get("engine")), 8),
        _padded(_tokens(request), 12),
    ]
    if (queued := _number(spent.get("queue")) / _MS) >= _LATE:
        parts.append(f"queued {queued:.1f}s")
    if (first := _number(spent.get("first_byte")) / _MS) >= _LATE:
        parts.append(f"first {first:.1f}s")
    if request.get("reason") is not None:
        parts.append(fit(as_str(request.get("reason")), _LONGEST))
    if not request.get("model"):
        parts.append(fit(f"{as_str(request.get('method'))} {_text(request.get('route'))}", 2 * _LONGEST))
    return "  ".join(parts).rstrip()


def _time(at: float, zone: tzinfo | None) -> str:
    try:
        return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def _tokens(request: Object) -> str:
    read, written = request.get("tokens_in"), request.get("tokens_out")
    return "" if read is None and written is None else f"{int(_number(read))}+{int(_number(written))} tok"


def _text(value: JSON) -> str:
    return as_str(value) or "-"


def _padded(text: str, width: int) -> str:
    shown = fit(text, _LONGEST)
    return shown + " " * (width - width_of(shown))


def _number(value: JSON) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
