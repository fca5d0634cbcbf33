"""Log records of what should be looked at: errors, denials, and requests that a policy wants audited.

Attributes are the fields of the access line, flat (`llm_gateway.ms.queue`); not `detail`, which may quote an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from observability.access import access_line
from observability.traces.attributes import Attributes
from observability.traces.sampling import Rate, Why, worth
from policies.exchange import Exchange
from policies.json import JSON, Object
from policies.names import is_name
from policies.record import MASK

_NEVER: Final = float("inf")
_SECONDS: Final = 5.0
_LEFT_OUT: Final = frozenset({"event", "at", "detail"})
_REQUESTED: Final = "requested_model"  # anything but a model's name is a stranger's text
AUDIT: Final = "audit"


class Severity(StrEnum):
    """How much it matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Record(NamedTuple):
    """One log record. `event` is its kind, `body` a constant text of ours."""

    at_ns: int
    severity: Severity
    event: str
    body: str
    attributes: Attributes
    trace_id: str
    span_id: str
    flags: int


_KINDS: Final = {
    Why.ERROR.value: (Severity.ERROR, "a request failed"),
    Why.DENIED.value: (Severity.WARN, "a request was denied"),
    AUDIT: (Severity.INFO, "a request to be audited"),
}


class LogRecords:
    """Makes them; implements `observers.Observer`. `rate`: errors, and denials, a second; audited ones all count."""

    def __init__(self, sink: Callable[[Record], None], *, rate: float, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._clock = clock
        self._rates = {why: Rate(rate, rate * _SECONDS) for why in (Why.ERROR, Why.DENIED)}
        self.limited = 0
        """Records that were not made because of the rate."""

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended."""
        kind = self._kind(exchange)
        if kind is not None:
            self._sink(_record(exchange, at, kind))

    def _kind(self, exchange: Exchange) -> str | None:
        audited = exchange.permit is not None and exchange.permit.obligations.audit
        why = worth(exchange, _NEVER)
        if why is None:
            return AUDIT if audited else None
        if audited or self._rates[why].take(self._clock()):
            return why.value
        self.limited += 1
        return None


def _record(exchange: Exchange, at: float, kind: str) -> Record:
    severity, body = _KINDS[kind]
    trace = exchange.trace
    return Record(
        int(at * 1e9),
        severity,
        f"llm_gateway.{kind}",
        body,
        _flat(access_line(exchange, at=at)),
        trace.id if trace is not None else exchange.id,
        trace.span_id if trace is not None else "",
        trace.flags if trace is not None else 0,
    )


def _flat(line: Object) -> Attributes:
    found: Attributes = {}
    for name, value in line.items():
        if name in _LEFT_OUT or (name == _REQUESTED and not (value == MASK or is_name(str(value)))):
            continue
        if isinstance(value, dict):
            for below, inner in value.items():
                _add(found, f"{name}.{below}", inner)
        else:
            _add(found, name, value)
    return found


def _add(found: Attributes, name: str, value: JSON) -> None:
    match value:
        case None | "":
            pass  # does not apply
        case str() | bool() | int() | float():
            found[f"llm_gateway.{name}"] = value
        case list():
            found[f"llm_gateway.{name}"] = tuple(item for item in value if isinstance(item, str))
        case _:
            pass  # nothing is known
