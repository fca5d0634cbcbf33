"""Single parts of the gateway, in this process and without sockets: decisions, accounts, dialects, telemetry. And how
soon an OPA that follows the gateway has a new policy. Each has a goal of its own."""

from __future__ import annotations

from pathlib import Path

from policies.json import JSON, Object
from tests.benchmarks import accounts, decisions, dialects, fleet, nginx, passing, telemetry, tracing
from tests.benchmarks.plan import Plan


def measure(plan: Plan, folder: Path) -> Object:
    """A list of rows per part, each with the names of its own module."""
    (folder / "accounts").mkdir(parents=True)
    parts: dict[str, list[Object]] = {
        "Policy decisions, microseconds": decisions.measure(folder / "decisions", plan.decisions),
        "Limits, ledger and queue of one request, microseconds": accounts.measure(
            folder / "accounts", plan.decisions * 5
        ),
        "One streamed chunk, microseconds": dialects.measure(plan.chunks),
        "One event of an engine's own dialect, microseconds": passing.measure(plan.decisions * 2),
        "Metrics": telemetry.metrics(plan.decisions * 4),
        "All telemetry of one request, microseconds": tracing.measure(plan.decisions * 2),
    }
    with nginx.origin(folder / "origin") as origin:
        parts["A policy applied, and enforced by an OPA"] = [fleet.measure(folder / "fleet", origin.port, plan.starts)]
    return {"parts": {title: list[JSON](rows) for title, rows in parts.items()}, "notes": []}
