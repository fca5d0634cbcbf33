"""Spans -> an OTLP message. Pure; to be run in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from observability.metrics.catalogue import SCHEMA
from observability.otlp.encode import Value, key_values, resource_message, scope
from observability.otlp.resource import Resource
from observability.traces.spans import Kind, Span

# trace.proto, SpanFlags: the low byte is W3C's; two bits say whether the parent (or what is linked to) is remote.
_HAS_REMOTE: Final = 0x100
_REMOTE: Final = 0x200
_KINDS: Final = {
    Kind.INTERNAL: SpanMessage.SPAN_KIND_INTERNAL,
    Kind.SERVER: SpanMessage.SPAN_KIND_SERVER,
    Kind.CLIENT: SpanMessage.SPAN_KIND_CLIENT,
}


def trace_message(traces: Iterable[Iterable[Span]], resource: Resource) -> ExportTraceServiceRequest:
    """All spans of `traces` as of one resource."""
    message = ExportTraceServiceRequest()
    owned = message.resource_spans.add(resource=resource_message(resource), schema_url=SCHEMA)
    scoped = owned.scope_spans.add(scope=scope(resource), schema_url=SCHEMA)
    for trace in traces:
        for span in trace:
            _add(scoped, span)
    return message


def _add(scoped: ScopeSpans, span: Span) -> None:
    trace = span.trace
    message = scoped.spans.add(
        trace_id=bytes.fromhex(trace.id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=trace.parent.state if trace.parent is not None else "",
        flags=trace.flags | _HAS_REMOTE | (_REMOTE if span.remote else 0),
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
    )
    # "Parsing two encoded messages one after the other merges them": most attributes were written before.
    message.MergeFromString(b"".join([_written(key, value) for key, value in span.attributes.items()]))
    for event in span.events:
        message.events.add(name=event.name, time_unix_nano=event.at_ns)
    for link in span.links:
        message.links.add(
            trace_id=bytes.fromhex(link.trace_id),
            span_id=bytes.fromhex(link.span_id),
            flags=link.flags | _HAS_REMOTE | _REMOTE,
        )
    if span.error:
        # "Description MUST be used only with Error", and ours are constants: the code that stands in error.type.
        message.status.code, message.status.message = Status.STATUS_CODE_ERROR, span.error


@lru_cache(maxsize=4096, typed=True)
def _written(key: str, value: Value) -> bytes:
    """A span with nothing but one attribute. Python makes an attribute in 3 us; most have the same few values."""
    return SpanMessage(attributes=key_values({key: value})).SerializeToString()
