"""What is sent, decoded again with the real protobuf classes, in both protocols."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from observability.metrics.catalogue import SCHEMA
from observability.metrics.snapshot import Exemplar, Family, FamilySnapshot, Kind, Point
from observability.otlp.encode import Protocol, Value, any_value, write
from observability.otlp.logs import logs_message
from observability.otlp.metrics import metrics_message
from observability.otlp.records import LogRecords, Record
from observability.otlp.resource import Resource
from observability.otlp.traces import trace_message
from observability.traces.spans import Span
from observability.traces.tracer import Tracer
from observability.traces.trust import ListenerTrace, Trust
from policies.exchange import Exchange
from policies.obligations import Obligations
from policies.reasons import Reason
from tests.observability.traces.exchanges import AT, CALLER, EVERYTHING, ID, Clock, Numbers, placed, refused, served
from tests.system.collector import value, values

RESOURCE = Resource("1.2.3", "i" * 32, 42)
SENDER = {"service.name": "llm-gateway", "service.version": "1.2.3", "service.instance.id": "i" * 32, "process.pid": 42}


def spans_of(exchange: Exchange, **headers: str) -> list[Span]:
    kept: list[list[Span]] = []
    tracer = Tracer(EVERYTHING, kept.append, randomness=Numbers(), clock=Clock())
    tracer.ended(placed(tracer, exchange, ListenerTrace(Trust.AUTHENTICATED), **headers), AT)
    return kept[0]


def read(message: Message, into: Message, protocol: Protocol) -> None:
    """`message` as the other side has it."""
    body = write(message, protocol)
    if protocol is Protocol.PROTOBUF:
        into.ParseFromString(body)
    else:
        # protobuf's own JSON takes ids as base64: 32 hex digits happen to be valid base64, for other bytes.
        assert ID.encode() in body
        Parse(body, into)


@pytest.mark.parametrize("protocol", Protocol)
def test_traces(protocol: Protocol) -> None:
    found = ExportTraceServiceRequest()
    read(trace_message([spans_of(served())], RESOURCE), found, protocol)
    (per_resource,) = found.resource_spans
    assert values(per_resource.resource.attributes) == SENDER
    (scoped,) = per_resource.scope_spans
    assert (scoped.scope.name, scoped.scope.version, scoped.schema_url) == ("llm-gateway", "1.2.3", SCHEMA)
    server, policy, queue, engine = scoped.spans
    assert [span.name for span in scoped.spans] == ["POST /v1/chat/completions", "policy", "queue", "chat tiny"]
    assert (server.kind, engine.kind) == (SpanMessage.SPAN_KIND_SERVER, SpanMessage.SPAN_KIND_CLIENT)
    assert abs(server.start_time_unix_nano - 1_699_999_999_900_000_000) < 1_000
    assert server.end_time_unix_nano == int(AT * 1e9)
    assert {policy.parent_span_id, queue.parent_span_id, engine.parent_span_id} == {server.span_id}
    assert [event.name for event in engine.events] == ["gen_ai.first_token"]
    assert values(server.attributes)["llm_gateway.groups"] == ["dev", "ops"]
    assert values(engine.attributes)["gen_ai.provider.name"] == "vllm"
    assert {span.status.code for span in scoped.spans} == {Status.STATUS_CODE_UNSET}
    if protocol is Protocol.PROTOBUF:
        assert {span.trace_id.hex() for span in scoped.spans} == {ID}
        assert server.parent_span_id == b""


def spans_sent(exchange: Exchange, **headers: str) -> list[SpanMessage]:
    return list(trace_message([spans_of(exchange, **headers)], RESOURCE).resource_spans[0].scope_spans[0].spans)


def test_a_joined_trace_has_its_parent_in_another_process() -> None:
    server, policy, *_ = spans_sent(served(), traceparent=CALLER, tracestate="vendor=x")
    assert server.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert server.parent_span_id.hex() == "00f067aa0ba902b7"
    assert server.trace_state == "vendor=x"
    assert (server.flags, policy.flags) == (0x301, 0x101)
    assert values(server.attributes)["llm_gateway.request.id"] == ID


def test_a_stranger_becomes_a_link() -> None:
    exchange = served()
    exchange.principal = None
    server, *_ = spans_sent(exchange, traceparent=CALLER, tracestate="vendor=x")
    (link,) = server.links
    assert (link.trace_id.hex(), link.span_id.hex()) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert (server.trace_id.hex(), server.parent_span_id, server.trace_state) == (ID, b"", "")
    assert link.trace_state == ""


def test_an_error_is_a_status_with_a_constant() -> None:
    exchange = served()
    exchange.outcome.reason = Reason.ENGINE_BROKE
    exchange.outcome.detail = "canary of an engine"
    server, *_, engine = spans_sent(exchange)
    assert (server.status.code, server.status.message) == (Status.STATUS_CODE_ERROR, "engine_broke")
    assert engine.status.code == Status.STATUS_CODE_ERROR
    assert b"canary" not in server.SerializeToString() + engine.SerializeToString()


COUNTER = Family("llm_gateway.things", Kind.COUNTER, "{thing}", "Things.", ("a", "b"))
UP_DOWN = Family("llm_gateway.waiting", Kind.UP_DOWN, "{thing}", "Waiting.")
GAUGE = Family("llm_gateway.level", Kind.GAUGE, "By", "Level.")
HISTOGRAM = Family("gen_ai.time", Kind.HISTOGRAM, "s", "Time.", ("a",), (0.1, 1.0))
FAMILIES = (
    FamilySnapshot(COUNTER, (Point(("x", ""), 3.0),), 1.0, 2.0),
    FamilySnapshot(UP_DOWN, (Point((), 4.0),), 1.0, 2.0),
    FamilySnapshot(GAUGE, (Point((), 5.5),), 1.0, 2.0),
    FamilySnapshot(
        HISTOGRAM, (Point(("x",), 4.2, (1, 0, 2), (None, None, Exemplar(2.0, 1.5, ID, "ab" * 8))),), 1.0, 2.0
    ),
    FamilySnapshot(Family("llm_gateway.none", Kind.GAUGE, "s", "None."), (), 1.0, 2.0),
)


@pytest.mark.parametrize("protocol", Protocol)
def test_metrics(protocol: Protocol) -> None:
    found = ExportMetricsServiceRequest()
    read(metrics_message(FAMILIES, RESOURCE), found, protocol)
    (per_resource,) = found.resource_metrics
    assert values(per_resource.resource.attributes) == SENDER
    counter, up_down, gauge, histogram = per_resource.scope_metrics[0].metrics
    assert (counter.name, counter.unit, counter.description) == ("llm_gateway.things", "{thing}", "Things.")
    assert counter.sum.is_monotonic
    assert counter.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (number,) = counter.sum.data_points
    assert (number.as_double, number.start_time_unix_nano, number.time_unix_nano) == (3.0, 10**9, 2 * 10**9)
    assert values(number.attributes) == {"a": "x"}
    assert up_down.HasField("sum")
    assert not up_down.sum.is_monotonic
    assert up_down.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert up_down.sum.data_points[0].as_double == 4.0
    assert gauge.gauge.data_points[0].as_double == 5.5
    assert histogram.histogram.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = histogram.histogram.data_points
    assert (point.count, point.sum) == (3, 4.2)
    assert list(point.bucket_counts) == [1, 0, 2]
    assert list(point.explicit_bounds) == [0.1, 1.0]
    (exemplar,) = point.exemplars
    assert exemplar.as_double == 2.0
    if protocol is Protocol.PROTOBUF:
        assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (ID, "ab" * 8)


def records_of(*exchanges: Exchange, rate: float = 100.0) -> list[Record]:
    kept: list[Record] = []
    logs = LogRecords(kept.append, rate=rate, clock=Clock())
    tracer = Tracer(EVERYTHING, lambda _: None, randomness=Numbers(), clock=Clock())
    for exchange in exchanges:
        logs.ended(placed(tracer, exchange), AT)
    return kept


def audited() -> Exchange:
    return served(obligations=Obligations(audit=True))


@pytest.mark.parametrize("protocol", Protocol)
def test_logs(protocol: Protocol) -> None:
    found = ExportLogsServiceRequest()
    exchange = refused(Reason.MISSING_CREDENTIAL)
    broken = served()
    broken.outcome.reason, broken.outcome.detail = Reason.ENGINE_BROKE, "canary"
    read(logs_message(records_of(exchange, broken, audited()), RESOURCE), found, protocol)
    (per_resource,) = found.resource_logs
    assert values(per_resource.resource.attributes) == SENDER
    denied, error, audit = per_resource.scope_logs[0].log_records
    assert [each.event_name for each in (denied, error, audit)] == [
        "llm_gateway.denied",
        "llm_gateway.error",
        "llm_gateway.audit",
    ]
    assert [each.severity_number for each in (denied, error, audit)] == [
        SeverityNumber.SEVERITY_NUMBER_WARN,
        SeverityNumber.SEVERITY_NUMBER_ERROR,
        SeverityNumber.SEVERITY_NUMBER_INFO,
    ]
    assert values(denied.attributes)["llm_gateway.reason"] == "missing_credential"
    said = values(audit.attributes)
    assert (said["llm_gateway.caller"], said["llm_gateway.ms.queue"], said["llm_gateway.tokens_out"]) == (
        "ann",
        10.0,
        3,
    )
    assert b"canary" not in found.SerializeToString()
    if protocol is Protocol.PROTOBUF:
        assert exchange.trace is not None
        assert (denied.trace_id.hex(), denied.span_id.hex()) == (ID, exchange.trace.span_id)


def test_what_went_well_is_no_log_record() -> None:
    assert records_of(served(), refused(Reason.UNKNOWN_ROUTE)) == []


def test_a_flood_of_denials_is_so_many_records_but_what_is_audited_is_always_told() -> None:
    flood = [refused(Reason.MISSING_CREDENTIAL) for _ in range(100)]
    assert len(records_of(*flood, *(audited() for _ in range(100)), rate=2.0)) == 110


def test_a_model_that_is_no_name_is_left_out() -> None:
    exchange = audited()
    exchange.requested = "canary canary"
    (record,) = records_of(exchange)
    assert "llm_gateway.requested_model" not in record.attributes


@pytest.mark.parametrize("plain", ["", "text", True, False, 0, -5, 2**62, 1.5, ("a", "b"), ()])
def test_values_keep_their_type(plain: Value) -> None:
    read_back = value(any_value(plain))
    assert read_back == (list(plain) if isinstance(plain, tuple) else plain)
    assert type(read_back) is (list if isinstance(plain, tuple) else type(plain))


def test_a_number_that_fits_nowhere_is_near_enough() -> None:
    assert value(any_value(2**70)) == float(2**70)
    assert LogRecord(body=any_value(2**63)).body.double_value == float(2**63)
