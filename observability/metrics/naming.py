"""OpenTelemetry's names as Prometheus writes them, by the conventions' own rules, so that boards work on both. Pure.

Dots become underscores, a unit becomes a suffix unless it is a mere annotation (`{request}`), and a counter ends in
`_total`. https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

from typing import Final

from observability.metrics.snapshot import Family, Kind

_UNITS: Final = {"s": "seconds", "By": "bytes"}


def unit_of(family: Family) -> str:
    """The unit in words; "" for annotations, which Prometheus' names do not have."""
    return _UNITS.get(family.unit, "")


def base_name(family: Family) -> str:
    """The family's name in OpenMetrics, without a counter's `_total`: `gen_ai_server_request_duration_seconds`."""
    name = plain(family.name)
    unit = unit_of(family)
    return f"{name}_{unit}" if unit else name


def sample_name(family: Family) -> str:
    """The name of a counter's or gauge's series; that of a histogram gets `_bucket`, `_sum` and `_count`."""
    return base_name(family) + ("_total" if family.kind is Kind.COUNTER else "")


def plain(name: str) -> str:
    """A dotted name as a name or label of Prometheus."""
    return name.replace(".", "_")
