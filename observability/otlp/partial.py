"""How much of a message the collector threw away although it said 200: OTLP's partial success. Pure.

The answers to the three signals differ in names only; on the wire they are one: field 1 holds the count in its own
field 1. What a collector writes beside the count is for people, and a stranger's text: not read.
"""

from __future__ import annotations

from typing import Final

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from policies.json import as_object

MOST_BYTES: Final = 16 * 1024
"""Of an answer; a longer one is not read."""
_COUNTS: Final = ("rejectedSpans", "rejectedDataPoints", "rejectedLogRecords")


def read_rejected(body: bytes, content_type: str) -> int:
    """How many spans, points or records were refused; 0 for an answer that says nothing of it, or nothing readable."""
    kind = content_type.partition(";")[0].strip().lower()
    found = _json(body) if kind == "application/json" else _protobuf(body)
    return max(0, found)


def _protobuf(body: bytes) -> int:
    try:
        return ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans
    except DecodeError:
        return 0


def _json(body: bytes) -> int:
    """Protobuf's JSON writes 64 bits as a text, collectors as a number, too."""
    try:
        said = as_object(as_object(orjson.loads(body)).get("partialSuccess"))
        return next((int(str(said[name])) for name in _COUNTS if name in said), 0)
    except ValueError:
        return 0
