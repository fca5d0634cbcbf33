"""W3C Trace Context (https://www.w3.org/TR/trace-context/): the two headers, read strictly and written. Pure.

Baggage is not read at all: it is a stranger's text, and no engine needs it.
"""

from __future__ import annotations

import re
from typing import Final

from policies.trace import SpanContext

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
"""Level 2: the trace id is random, so that whoever samples by its last 56 bits may do so."""

# "version-format = trace-id "-" parent-id "-" trace-flags"; 3.2.2: all lower case. A higher version may go on behind a
# further dash: "the parser must try to parse it" as far as it knows the form.
_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?", re.ASCII)
_MAX: Final = 512
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16

# 3.3.1.3: at most 32 list-members. The key and the value as the level 2 grammar has them.
_MEMBERS: Final = 32
_MEMBER: Final = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII
)


def read_context(traceparent: str, tracestate: str = "") -> SpanContext | None:
    """The span that a caller names; None if `traceparent` is not valid. A `tracestate` that is not valid is dropped.

    Two `traceparent` lines arrive joined by a comma, which is not valid either.
    """
    match = _TRACEPARENT.fullmatch(traceparent) if len(traceparent) <= _MAX else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    # Of a version we do not know only the sampled flag is known to mean what it says.
    known = SAMPLED | RANDOM if version == "00" else SAMPLED
    return SpanContext(trace_id, span_id, int(flags, 16) & known, read_state(tracestate))


def read_state(text: str) -> str:
    """`tracestate` as it may be sent on, "" if it is not valid: too many members, a key twice, a bad member, over 512
    characters (what a vendor "SHOULD" carry at least; more is nothing we promise)."""
    if not text or len(text) > _MAX:
        return ""
    members = [member for part in text.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MEMBERS or len(keys) != len(members) or not all(map(_MEMBER.fullmatch, members)):
        return ""
    return ",".join(members)


def write_traceparent(trace_id: str, span_id: str, flags: int) -> str:
    """The header, version 00."""
    return f"00-{trace_id}-{span_id}-{flags:02x}"
