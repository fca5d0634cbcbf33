"""The board of engines and their lines: is the machine the bottleneck?"""

from __future__ import annotations

from typing import Final

from observability.boards.panels import (
    DATASOURCE,
    EVERY,
    MODEL,
    MODELS,
    Board,
    Query,
    Row,
    choice,
    lines,
    mean,
    quantile,
    quantiles,
    stacked,
    stat,
    table,
)

_OF: Final = 'llm_gateway_engine=~"$engine"'
_NAME: Final = "{{llm_gateway_engine}}"
_BY: Final = "llm_gateway_engine"
_WAIT: Final = "llm_gateway_queue_wait_seconds"
_WORK: Final = "gen_ai_client_operation_duration_seconds"
_CHUNK: Final = "gen_ai_client_operation_time_to_first_chunk_seconds"
_PER_TOKEN: Final = "gen_ai_server_time_per_output_token_seconds"  # noqa: S105 - no secret

_SLOTS: Final = f"llm_gateway_queue_slots{{{_OF}}} * on (instance, {_BY}) llm_gateway_engine_up"
"""Of engines that are up."""

_NOW: Final = Row(
    "Now",
    (
        stat("Engines up", f"sum(max by ({_BY}) (llm_gateway_engine_up{{{_OF}}}))", "short"),
        stat("In line", f"sum(llm_gateway_queue_depth{{{_OF}}})", "short"),
        stat("At work", f"sum(llm_gateway_queue_running{{{_OF}}})", "short"),
        stat("Slots", f"sum(max by ({_BY}) ({_SLOTS}))", "short", "Of engines that are up."),
        stat(
            "Slots in use",
            f"sum(rate(llm_gateway_gpu_time_seconds_total{{{_OF}}}[{EVERY}])) / sum(max by ({_BY}) ({_SLOTS}))",
            "percentunit",
            "Of all the time there was. Near 100 % with a line in front of it, the machine is the bottleneck. Time is "
            "counted when an answer ends.",
        ),
        stat("p95 wait", quantile(0.95, _WAIT, _OF), "s"),
    ),
)
_WHERE: Final = Row(
    "Where the time goes",
    (
        stacked(
            "Mean seconds of a request",
            Query(mean(_WAIT, _OF), "waits for its turn"),
            Query(mean(_WORK, _OF), "the engine works"),
            Query(mean("llm_gateway_overhead_duration_seconds"), "the gateway"),
            unit="s",
            about="Waiting on top: the machine is the bottleneck. Work on top: the model is.",
            width=12,
        ),
        lines(
            "Line and slots",
            Query(f"sum by ({_BY}) (llm_gateway_queue_depth{{{_OF}}})", f"in line {_NAME}"),
            Query(f"sum by ({_BY}) (llm_gateway_queue_running{{{_OF}}})", f"at work {_NAME}"),
            Query(f"max by ({_BY}) ({_SLOTS})", f"slots {_NAME}"),
            width=12,
        ),
        lines("Wait by engine", *quantiles(_WAIT, _OF, 0.5, 0.95, by=_BY), unit="s"),
        lines(
            "p95 wait by rate class",
            Query(quantile(0.95, _WAIT, _OF, "llm_gateway_class"), "{{llm_gateway_class}}"),
            unit="s",
            about="Without a name: requests that the policy put into no class.",
        ),
        lines(
            "Models loaded per minute",
            Query(
                f"60 * sum by ({_BY}, gen_ai_response_model) "
                f"(rate(llm_gateway_engine_loads_total{{{_OF}, {MODEL}}}[{EVERY}]))",
                f"{_NAME} {{{{gen_ai_response_model}}}}",
            ),
            about="Of engines that hold some of their models at once. Each load costs everyone in line its time: "
            "`queue.passed_over`, `loaded_models`.",
        ),
    ),
)
_ENGINES: Final = Row(
    "Engines",
    (
        lines("Up", Query(f"max by ({_BY}) (llm_gateway_engine_up{{{_OF}}})", _NAME), width=6),
        lines("Loading a model", Query(f"max by ({_BY}) (llm_gateway_engine_loading{{{_OF}}})", _NAME), width=6),
        lines(
            "Failures",
            Query(f"llm_gateway:engine_errors:ratio5m{{{_OF}}}", _NAME),
            unit="percentunit",
            width=6,
        ),
        stacked(
            "Failures/s by reason",
            Query(
                f'sum by ({_BY}, error_type) (rate({_WORK}_count{{{_OF}, {MODEL}, error_type=~"engine_.+"}}[{EVERY}]))',
                f"{_NAME} {{{{error_type}}}}",
            ),
            unit="reqps",
            width=6,
        ),
        lines(
            "Passed over",
            Query(f"max by ({_BY}) (llm_gateway_engine_breaker{{{_OF}}})", _NAME),
            Query(
                f"sum by ({_BY}) (increase(llm_gateway_engine_breaker_trips_total{{{_OF}}}[1h]))",
                f"{_NAME}: began, in 1 h",
            ),
            about="1 while an engine fails one request after the other: another that has the model is asked.",
            width=6,
        ),
        lines(
            "Sent again/s",
            Query(f"sum by ({_BY}) (rate(llm_gateway_engine_retries_total{{{_OF}}}[{EVERY}]))", _NAME),
            unit="reqps",
            about="Because the engine had closed an idle connection before it saw the request.",
        ),
        lines("Work", *quantiles(_WORK, f"{_OF}, {MODEL}", 0.5, 0.95, by=_BY, exemplar=True), unit="s"),
        lines("First bytes of a stream", *quantiles(_CHUNK, f"{_OF}, {MODEL}", 0.5, 0.95, by=_BY), unit="s"),
        lines(
            "Tokens/s of one stream, by model",
            Query(f"1 / ({mean(_PER_TOKEN, MODEL, 'gen_ai_response_model')})", "{{gen_ai_response_model}}"),
        ),
        lines(
            "Tokens of one request, p95",
            Query(quantile(0.95, "gen_ai_client_token_usage", MODEL, "gen_ai_token_type"), "{{gen_ai_token_type}}"),
        ),
        table(
            "What engines offer",
            Query(
                "max by (llm_gateway_engine, gen_ai_provider_name) "
                "(llm_gateway_engine_models * on (instance, llm_gateway_engine) group_left (gen_ai_provider_name) "
                "llm_gateway_engine_up)",
                "models",
            ),
            about="0 while an engine is down.",
            width=24,
        ),
    ),
)

BOARD: Final = Board(
    "engines",
    "Engines and queue",
    "Is the machine the bottleneck?",
    (_NOW, _WHERE, _ENGINES),
    (DATASOURCE, MODELS, choice("engine", "Engine", "llm_gateway_engine_up", "llm_gateway_engine")),
)
