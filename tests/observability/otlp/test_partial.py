"""What a collector threw away behind a 200 is read in both protocols, and nothing else in its answer counts."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from observability.otlp.partial import read_rejected

ANSWERS = [
    ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=3, error_message="canary")),
    ExportMetricsServiceResponse(partial_success=ExportMetricsPartialSuccess(rejected_data_points=3)),
    ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=3)),
]
Response = ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse


@pytest.mark.parametrize("answer", ANSWERS)
def test_all_three_signals_in_both_protocols(answer: Response) -> None:
    assert read_rejected(answer.SerializeToString(), "application/x-protobuf") == 3
    assert read_rejected(MessageToJson(answer).encode(), "application/json; charset=utf-8") == 3


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b"<html>", b"{", b'{"partialSuccess": 3}', b'{"partialSuccess": {}}'),
        b'{"partialSuccess": {"rejectedSpans": -3}}',
        b'{"partialSuccess": {"rejectedSpans": "many"}}',
        b'{"partialSuccess": {"rejectedSpans": null}}',
        b'{"partialSuccess": {"errorMessage": "nothing was rejected"}}',
    ],
)
def test_other_answers_say_nothing(body: bytes) -> None:
    assert read_rejected(body, "application/json") == 0


@given(st.binary(max_size=64), st.sampled_from(["application/json", "application/x-protobuf", "text/html", ""]))
def test_any_answer_is_a_number(body: bytes, content_type: str) -> None:
    assert read_rejected(body, content_type) >= 0
