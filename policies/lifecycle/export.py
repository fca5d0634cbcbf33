"""Records as OPA's decision-log events (`EventV1` of OPA's logs plugin), and what OPAs of a fleet report as records.

What OPA has no word for stands under `custom.gateway`, so that nothing is lost on the way out. On the way in nothing
there can turn a no into a yes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from policies.bundle import ENTRY
from policies.json import JSON, Object, as_count, as_list, as_object, as_str
from policies.reasons import Reason
from policies.record import Record
from policies.result import DecisionError, read_decision

BUNDLE: Final = "gateway"
"""The name of the gateway's bundle in OPA's configuration and in events."""
FLEET: Final = "fleet"
_EVALUATION: Final = "timer_rego_query_eval_ns"
_HANDLER: Final = "timer_server_handler_ns"
_LAST: Final = 253_402_300_799
"""31 December 9999: RFC 3339 has four digits for a year."""
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_WORD: Final = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
_MAX_ID: Final = 256
_MAX_DETAIL: Final = 500
_MAX_MASKED: Final = 64
_MAX_BUNDLES: Final = 64


class EventError(ValueError):
    """The event is no decision of the gateway's policy; the text says why, without quoting it."""


def event(record: Record, labels: Mapping[str, str]) -> Object:
    """`record` as OPA would have logged it; `labels` say who did (`id`, `app`, `version`)."""
    named: Object = dict(labels)
    document: Object = {
        "labels": named,
        "decision_id": record.id if record.redirect == 0 else f"{record.id}/{record.redirect}",
        "path": ENTRY,
        "input": record.input,
        "timestamp": rfc3339(record.at),
        "metrics": {_EVALUATION: record.took_us * 1000},
        "custom": {"gateway": _ours(record)},
    }
    trace = as_str(record.input.get("trace_id"))
    if trace:
        document["trace_id"] = trace
    if record.revision:
        document["bundles"] = {BUNDLE: {"revision": record.revision}}
    if record.result is not None:
        document["result"] = record.result
    elif record.reason:
        document["error"] = {"code": record.reason, "message": record.detail}
    if record.masked:
        pointers: list[JSON] = [_pointer(name) for name in record.masked]
        document["masked"] = pointers
    return document


def _ours(record: Record) -> Object:
    document: Object = {"id": record.id, "allow": record.allow, "reason": record.reason, "engine": record.engine}
    if record.detail:
        document["detail"] = record.detail
    if record.redirect:
        document["redirect"] = record.redirect
    if record.audit:
        document["audit"] = True
    return document


def read_event(document: JSON) -> Record:
    """The record of an OPA's decision about `gateway/authz/decision`, with the engine `fleet`. EventError.

    Unknown fields are passed over; known ones of a wrong type are not. The id is the request's (`input.id`) where the
    input has one, else OPA's own: so `explain` finds what an OPA decided about a request of any gateway.
    """
    if not isinstance(document, dict):
        raise EventError("an event is not an object")
    path = as_str(document.get("path")).strip("/")
    if path != ENTRY:
        raise EventError(f"the path is not {ENTRY}")
    given, result = _section(document, "input"), document.get("result")
    error, ours = _section(document, "error"), _section(_section(document, "custom"), "gateway")
    shown = result if isinstance(result, dict) else None
    allow, reason = _decided(result, ours)
    return Record(
        id=_id(document, given, ours),
        at=_instant(document.get("timestamp")),
        input=given,
        result=shown,
        allow=allow,
        reason=reason,
        detail=(as_str(ours.get("detail")) or as_str(error.get("message")))[:_MAX_DETAIL],
        revision=_revision(document),
        engine=FLEET,
        took_us=_took(_section(document, "metrics")),
        masked=_masked(document),
        redirect=as_count(ours.get("redirect")) or 0,
        audit=ours.get("audit") is True,
    )


def _decided(result: JSON, ours: Object) -> tuple[bool, str]:
    """Whether it was a yes, and the gateway's word for a no: the event's own, if it is one."""
    said = as_str(ours.get("reason"))
    word = said if _WORD.fullmatch(said) else ""
    try:
        allow = read_decision(result).allow
    except DecisionError:
        return False, word or Reason.POLICY_FAILED.value
    if allow and ours.get("allow", True) is True:
        return True, ""
    return False, word or Reason.POLICY_DENIED.value


def _id(document: Object, given: Object, ours: Object) -> str:
    decision = document.get("decision_id")
    if not isinstance(decision, str) or not decision:
        raise EventError("there is no decision_id")
    found = as_str(ours.get("id")) or as_str(given.get("id")) or decision
    if len(found) > _MAX_ID:
        raise EventError("the id is too long")
    return found


def _section(document: Object, name: str) -> Object:
    value = document.get(name, {})
    if value is not None and not isinstance(value, dict):
        raise EventError(f"`{name}` is not an object")
    return value or {}


def _revision(document: Object) -> str:
    """Of the bundle that owns the policy: ours by name, or the only one there is."""
    bundles = _section(document, "bundles")
    if len(bundles) > _MAX_BUNDLES:
        raise EventError("too many bundles")
    bundle = bundles.get(BUNDLE) or (next(iter(bundles.values())) if len(bundles) == 1 else None)
    return as_str(as_object(bundle).get("revision"))[:_MAX_ID]


def _took(metrics: Object) -> int:
    return (as_count(metrics.get(_EVALUATION)) or as_count(metrics.get(_HANDLER)) or 0) // 1000


def _masked(document: Object) -> tuple[str, ...]:
    pointers = [*as_list(document.get("erased")), *as_list(document.get("masked"))]
    texts = [pointer for pointer in pointers if isinstance(pointer, str) and len(pointer) <= _MAX_ID]
    if len(texts) != len(pointers) or len(texts) > _MAX_MASKED:
        raise EventError("`erased` or `masked` is not a short list of JSON pointers")
    return tuple(dict.fromkeys(_dotted(text) for text in texts))


def _pointer(name: str) -> str:
    """`caller.id` -> `/input/caller/id` (RFC 6901 3: `~` is `~0`, `/` is `~1`)."""
    return "/input/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in name.split("."))


def _dotted(pointer: str) -> str:
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return ".".join(parts[1:] if parts[:1] == ["input"] else parts)


def rfc3339(at: float) -> str:
    """Seconds since the epoch as RFC 3339 with nanoseconds, in UTC; clamped to years of four digits."""
    at = min(max(at, 0.0), float(_LAST)) if math.isfinite(at) else 0.0
    whole = math.floor(at)
    # The fraction is exact in binary: times 10**9 first would lose what a float of this size cannot hold.
    nanoseconds = min(round((at - whole) * 1e9), 999_999_999)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _instant(value: JSON) -> float:
    """Seconds since the epoch of an RFC 3339 time. EventError."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise EventError("`timestamp` is not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        # A leap second has no number of its own in seconds since the epoch (RFC 3339 5.6 allows `60`).
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        raise EventError("`timestamp` is not an RFC 3339 time") from None
    fraction = int((match[7] or "0").ljust(9, "0")) / 1e9
    offset = (int(match[9]) * 3600 + int(match[10]) * 60) * (-1 if match[8] == "-" else 1) if match[8] else 0
    return moment.timestamp() - offset + fraction
