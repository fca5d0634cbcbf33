"""`llm-gateway usage --estimates`: how far estimated prompts were from what engines counted, by model."""

from __future__ import annotations

from typing import Final

from edge.cli.policy.printing import print_json, print_table
from edge.ledger.estimates import Errors, errors
from edge.ledger.usage import Span
from edge.store.database import Database
from policies.json import Object

_HEADING: Final = ("MODEL", "REQUESTS", "MEAN %", "MEAN ABS %", "P95 ABS %")


def show(database: Database, span: Span, *, as_json: bool) -> None:
    """Print it: a table for people, JSON for scripts. StateError."""
    found = errors(database, span)
    if as_json:
        print_json([_document(line) for line in found])
    elif found:
        rows = [_HEADING, *(_row(line) for line in found)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADING))]
        print_table([(row[0], *(row[at].rjust(widths[at]) for at in range(1, len(row)))) for row in rows])
    else:
        print("No engine counted a prompt in that time. Look further back: llm-gateway usage --estimates --since 90d")


def _document(line: Errors) -> Object:
    return {
        "model": line.model,
        "requests": line.requests,
        "mean_error_percent": round(line.mean, 2),
        "mean_absolute_error_percent": round(line.mean_absolute, 2),
        "p95_absolute_error_percent": round(line.p95_absolute, 2),
    }


def _row(line: Errors) -> tuple[str, ...]:
    return (
        line.model,
        f"{line.requests:,}",
        f"{line.mean:+,.1f}",
        f"{line.mean_absolute:,.1f}",
        f"{line.p95_absolute:,.1f}",
    )
