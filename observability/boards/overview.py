"""The first board: is it well, how fast, how much, and who says no."""

from __future__ import annotations

from typing import Final

from observability.boards.panels import (
    AT,
    DATASOURCE,
    EVERY,
    LISTENERS,
    MODEL,
    MODELS,
    Board,
    Query,
    Row,
    lines,
    quantile,
    quantiles,
    stacked,
    stat,
    table,
)

_DURATION: Final = "gen_ai_server_request_duration_seconds"
_FIRST: Final = "gen_ai_server_time_to_first_token_seconds"
_PER_TOKEN: Final = "gen_ai_server_time_per_output_token_seconds"  # noqa: S105 - no secret
_ADDED: Final = "llm_gateway_overhead_duration_seconds"
_REQUESTS: Final = "llm_gateway_requests_total"

_AT_A_GLANCE: Final = Row(
    "At a glance",
    (
        stat("Requests", f"sum(increase({_REQUESTS}{{{AT}, {MODEL}}}[$__range]))", "short", none="0"),
        stat(
            "Served well",
            f'sum(rate({_REQUESTS}{{{AT}, {MODEL}, http_response_status_code="200", llm_gateway_reason=""}}[$__range]))'
            f' / sum(rate({_REQUESTS}{{{AT}, {MODEL}, http_response_status_code=~"200|5.."}}[$__range]))',
            "percentunit",
            "Of what was not refused for the caller's own reasons (4xx).",
        ),
        stat("Tokens", f"sum(increase(llm_gateway_tokens_total{{{MODEL}}}[$__range]))", "short", none="0"),
        stat("p95 first token", quantile(0.95, _FIRST, MODEL, over="$__range"), "s", "Waiting included."),
        stat("p95 duration", quantile(0.95, _DURATION, MODEL, over="$__range"), "s"),
        stat("Engines up", "sum(max by (llm_gateway_engine) (llm_gateway_engine_up))", "short"),
    ),
)
_TRAFFIC: Final = Row(
    "Traffic",
    (
        stacked(
            "Requests/s by served model",
            Query(
                f"sum by (gen_ai_response_model) "
                f'(rate({_REQUESTS}{{{AT}, {MODEL}, gen_ai_response_model!=""}}[{EVERY}]))',
                "{{gen_ai_response_model}}",
            ),
            unit="reqps",
        ),
        stacked(
            "Requests/s by status",
            Query(
                f"sum by (http_response_status_code) (rate({_REQUESTS}{{{AT}, {MODEL}}}[{EVERY}]))",
                "{{http_response_status_code}}",
            ),
            unit="reqps",
        ),
        stacked(
            "Refused or broken/s by reason",
            Query(
                f'sum by (llm_gateway_reason) (rate({_REQUESTS}{{{AT}, {MODEL}, llm_gateway_reason!=""}}[{EVERY}]))',
                "{{llm_gateway_reason}}",
            ),
            unit="reqps",
            about="The reasons of docs/decisions/0007-refusals.md.",
        ),
    ),
)
_SPEED: Final = Row(
    "Speed",
    (
        lines(
            "Duration",
            *quantiles(_DURATION, MODEL, 0.5, 0.95, 0.99, exemplar=True),
            unit="s",
            about="From the head of a request to the end of its answer.",
        ),
        lines(
            "First token, and each one after it",
            *(Query(each.expr, f"first {each.legend}") for each in quantiles(_FIRST, MODEL, 0.5, 0.95)),
            *(Query(each.expr, f"next {each.legend}") for each in quantiles(_PER_TOKEN, MODEL, 0.5, 0.95)),
            unit="s",
        ),
        lines("What the gateway adds", *quantiles(_ADDED, AT, 0.5, 0.95, 0.99), unit="s"),
        stacked(
            "Tokens/s by type and model",
            Query(
                "sum by (gen_ai_token_type, gen_ai_response_model) "
                f"(rate(llm_gateway_tokens_total{{{MODEL}}}[{EVERY}]))",
                "{{gen_ai_token_type}} {{gen_ai_response_model}}",
            ),
        ),
        lines(
            "Under way",
            Query(f"sum by (llm_gateway_listener) (http_server_active_requests{{{AT}}})", "{{llm_gateway_listener}}"),
            Query("sum by (llm_gateway_engine) (llm_gateway_queue_depth)", "in line: {{llm_gateway_engine}}"),
        ),
        lines(
            "Failures by engine",
            Query("llm_gateway:engine_errors:ratio5m", "{{llm_gateway_engine}}"),
            unit="percentunit",
            about="Share of what the engine was asked that it broke, refused to be reached for, or took too long for.",
        ),
    ),
)
_GOALS: Final = Row(
    "Goals (docs/dashboards.md)",
    (
        stat(
            "Availability, 30 days",
            "1 - llm_gateway:availability_errors:ratio30d",
            "percentunit",
            "Goal: 99 % of what was not refused for the caller's own reasons is served well.",
        ),
        stat(
            "Added latency, 30 days",
            "1 - llm_gateway:slow_overhead:ratio30d",
            "percentunit",
            "Goal: to 99 % of the served requests the gateway adds 25 ms at most.",
        ),
        stat(
            "Fairness, 30 days",
            "1 - llm_gateway:starved:ratio30d",
            "percentunit",
            "Goal: of callers who use less than half an even share, 95 % wait 10 s at most.",
        ),
        lines(
            "How fast the budgets burn",
            Query("llm_gateway:availability_errors:ratio1h / 0.01", "availability"),
            Query("llm_gateway:slow_overhead:ratio1h / 0.01", "added latency"),
            Query("llm_gateway:starved:ratio1h / 0.05", "fairness"),
            about="Over the last hour. 1 = used up in exactly 30 days; 14.4 raises an alert.",
            width=12,
        ),
    ),
)
_PROCESS: Final = Row(
    "The process",
    (
        lines("Memory", Query("process_memory_usage_bytes", "{{instance}}"), unit="bytes", width=6),
        lines(
            "Processor time",
            Query(f"sum by (instance) (rate(process_cpu_time_seconds_total[{EVERY}]))", "{{instance}}"),
            unit="percentunit",
            width=6,
        ),
        lines(
            "Event loop lag and garbage collection",
            Query(quantile(0.99, "llm_gateway_event_loop_lag_seconds", "", "instance"), "lag p99 {{instance}}"),
            Query(quantile(0.99, "llm_gateway_gc_pause_seconds", "", "instance"), "collection p99 {{instance}}"),
            unit="s",
            width=6,
        ),
        lines(
            "Telemetry thrown away/s",
            Query(
                f"sum by (llm_gateway_signal) (rate(llm_gateway_telemetry_dropped_total[{EVERY}]))",
                "{{llm_gateway_signal}}",
            ),
            Query(
                f"sum by (llm_gateway_family) (rate(llm_gateway_telemetry_series_dropped_total[{EVERY}]))",
                "series of {{llm_gateway_family}}",
            ),
            width=6,
        ),
        lines(
            "Policy engine and Redis: 1 = it answers",
            Query("llm_gateway_policy_up", "policy engine {{instance}}"),
            Query("llm_gateway_redis_up", "Redis {{instance}}"),
            width=6,
        ),
        lines("Open descriptors", Query("llm_gateway_process_open_descriptors", "{{instance}}"), width=6),
        lines(
            "Ledger",
            Query("llm_gateway_ledger_waiting", "waiting {{instance}}"),
            Query(f"rate(llm_gateway_ledger_written_total[{EVERY}])", "written/s {{instance}}"),
            width=6,
        ),
        table(
            "Versions, and seconds since the start",
            Query(
                "max by (instance, service_version, python_version) "
                "(llm_gateway_build_info * on (instance) group_left process_uptime_seconds)",
                "up for",
            ),
            unit="s",
            width=6,
        ),
    ),
)

BOARD: Final = Board(
    "overview",
    "Overview",
    "Is it well, how fast, how much, and who says no.",
    (_AT_A_GLANCE, _TRAFFIC, _SPEED, _GOALS, _PROCESS),
    (DATASOURCE, LISTENERS, MODELS),
)
