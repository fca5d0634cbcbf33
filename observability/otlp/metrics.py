"""A snapshot of all metrics -> an OTLP message. Pure; to be run in a thread.

All sums and histograms are cumulative since the start, so a message that is lost is made good by the next.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as ExemplarMessage

from observability.metrics.catalogue import SCHEMA
from observability.metrics.snapshot import Exemplar, FamilySnapshot, Kind, Point
from observability.otlp.encode import key_values, resource_message, scope
from observability.otlp.resource import Resource

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def metrics_message(families: Iterable[FamilySnapshot], resource: Resource) -> ExportMetricsServiceRequest:
    """All families that have a series, as of one resource."""
    metrics = [_metric(family) for family in families if family.points]
    scoped = ScopeMetrics(scope=scope(resource), metrics=metrics, schema_url=SCHEMA)
    return ExportMetricsServiceRequest(
        resource_metrics=[
            ResourceMetrics(resource=resource_message(resource), scope_metrics=[scoped], schema_url=SCHEMA)
        ]
    )


def _metric(snapshot: FamilySnapshot) -> Metric:
    family = snapshot.family
    metric = Metric(name=family.name, description=family.help, unit=family.unit)
    match family.kind:
        case Kind.COUNTER | Kind.UP_DOWN:
            numbers = [_number(snapshot, point, started=True) for point in snapshot.points]
            grows = family.kind is Kind.COUNTER
            metric.sum.CopyFrom(Sum(data_points=numbers, aggregation_temporality=_CUMULATIVE, is_monotonic=grows))
        case Kind.GAUGE:
            metric.gauge.CopyFrom(
                Gauge(data_points=[_number(snapshot, point, started=False) for point in snapshot.points])
            )
        case Kind.HISTOGRAM:
            points = [_histogram(snapshot, point) for point in snapshot.points]
            metric.histogram.CopyFrom(Histogram(data_points=points, aggregation_temporality=_CUMULATIVE))
    return metric


def _number(snapshot: FamilySnapshot, point: Point, *, started: bool) -> NumberDataPoint:
    return NumberDataPoint(
        attributes=_labels(snapshot, point),
        start_time_unix_nano=_ns(snapshot.started) if started else 0,
        time_unix_nano=_ns(snapshot.at),
        as_double=point.value,
    )


def _histogram(snapshot: FamilySnapshot, point: Point) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes=_labels(snapshot, point),
        start_time_unix_nano=_ns(snapshot.started),
        time_unix_nano=_ns(snapshot.at),
        count=point.count,
        sum=point.value,
        bucket_counts=point.buckets,
        explicit_bounds=snapshot.family.bounds,
        exemplars=[_exemplar(each) for each in point.exemplars if each is not None],
    )


def _exemplar(exemplar: Exemplar) -> ExemplarMessage:
    return ExemplarMessage(
        time_unix_nano=_ns(exemplar.at),
        as_double=exemplar.value,
        trace_id=bytes.fromhex(exemplar.trace_id),
        span_id=bytes.fromhex(exemplar.span_id),
    )


def _labels(snapshot: FamilySnapshot, point: Point) -> list[KeyValue]:
    """Without those that do not apply: an attribute is left out where Prometheus has an empty label."""
    return key_values({name: value for name, value in zip(snapshot.family.labels, point.labels, strict=True) if value})


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
