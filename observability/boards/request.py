"""The board that leads from a slow spot to the one request behind it."""

from __future__ import annotations

from typing import Final

from observability.boards.panels import (
    DATASOURCE,
    MODEL,
    MODELS,
    Board,
    Query,
    Row,
    heatmap,
    lines,
    quantile,
    source,
    text,
    trace,
    typed,
)

_HOW: Final = """\
Dots on the pictures above are requests whose trace was kept: click one, and *Query with Jaeger*. Or paste the id of a
request (`x-request-id` of its answer; `x-trace-id` where the caller's own trace was joined) into **Request** above.

| to know | ask |
|---|---|
| why it was refused | `llm-gateway policy explain ID` |
| its stages, tokens, engine | the access line: `grep ID access.log` |
| what happens now | `llm-gateway top`, `llm-gateway tail` |
"""

BOARD: Final = Board(
    "request",
    "One request",
    "From a slow spot to the one request behind it.",
    (
        Row(
            "Find it",
            (
                heatmap("Duration", "gen_ai_server_request_duration_seconds", MODEL),
                heatmap("First token", "gen_ai_server_time_to_first_token_seconds", MODEL),
                heatmap("Wait for a turn", "llm_gateway_queue_wait_seconds", ""),
                lines(
                    "p95 of the parts",
                    Query(quantile(0.95, "llm_gateway_queue_wait_seconds", ""), "waits", exemplar=True),
                    Query(
                        quantile(0.95, "gen_ai_client_operation_time_to_first_chunk_seconds", MODEL),
                        "first bytes of the engine",
                        exemplar=True,
                    ),
                    Query(
                        quantile(0.95, "gen_ai_client_operation_duration_seconds", MODEL), "the engine", exemplar=True
                    ),
                    Query(quantile(0.95, "llm_gateway_overhead_duration_seconds", ""), "the gateway", exemplar=True),
                    unit="s",
                    width=12,
                ),
                text("How", _HOW, height=6),
            ),
        ),
        Row("Its trace", (trace("Trace", "request"),)),
    ),
    (DATASOURCE, source("traces", "Traces", "jaeger"), MODELS, typed("request", "Request")),
)
