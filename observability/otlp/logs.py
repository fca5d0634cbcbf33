"""Log records -> an OTLP message. Pure; to be run in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber

from observability.metrics.catalogue import SCHEMA
from observability.otlp.encode import key_values, resource_message, scope
from observability.otlp.records import Record, Severity
from observability.otlp.resource import Resource

_NUMBERS: Final = {
    Severity.INFO: SeverityNumber.SEVERITY_NUMBER_INFO,
    Severity.WARN: SeverityNumber.SEVERITY_NUMBER_WARN,
    Severity.ERROR: SeverityNumber.SEVERITY_NUMBER_ERROR,
}


def logs_message(records: Iterable[Record], resource: Resource) -> ExportLogsServiceRequest:
    """All `records` as of one resource."""
    scoped = ScopeLogs(scope=scope(resource), log_records=[_record(record) for record in records], schema_url=SCHEMA)
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource_message(resource), scope_logs=[scoped], schema_url=SCHEMA)]
    )


def _record(record: Record) -> LogRecord:
    return LogRecord(
        time_unix_nano=record.at_ns,
        observed_time_unix_nano=record.at_ns,
        severity_number=_NUMBERS[record.severity],
        severity_text=record.severity.value,
        event_name=record.event,
        body=AnyValue(string_value=record.body),
        attributes=key_values(record.attributes),
        flags=record.flags,
        trace_id=bytes.fromhex(record.trace_id),
        span_id=bytes.fromhex(record.span_id),
    )
