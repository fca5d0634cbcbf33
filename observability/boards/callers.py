"""The board of callers: who used what, how long did they wait, who was refused."""

from __future__ import annotations

from typing import Final

from observability.boards.panels import (
    AT,
    CALLER,
    EVERY,
    MODEL,
    USUAL,
    Board,
    Query,
    Row,
    lines,
    quantile,
    stacked,
    stat,
    table,
)

_REQUESTS: Final = "llm_gateway_requests_total"
_TOKENS: Final = "llm_gateway_tokens_total"
_GPU: Final = "llm_gateway_gpu_time_seconds_total"
_WAIT: Final = "llm_gateway_queue_wait_seconds"
_NAME: Final = "{{llm_gateway_caller}}"


def _most(expr: str) -> str:
    return f"topk(10, {expr})"


def _by_caller(metric: str, matchers: str) -> Query:
    return Query(_most(f"sum by (llm_gateway_caller) (rate({metric}{{{matchers}}}[{EVERY}]))"), _NAME)


_WHO: Final = Row(
    "Who uses what (the ten that use the most)",
    (
        stat("Callers", f"count(count by (llm_gateway_caller) ({_TOKENS}{{{CALLER}}}))", "short", none="0"),
        stat("Tokens", f"sum(increase({_TOKENS}{{{CALLER}, {MODEL}}}[$__range]))", "short", none="0"),
        stat("Time on engines", f"sum(increase({_GPU}{{{CALLER}, {MODEL}}}[$__range]))", "s", none="0"),
        stat("Under way", f"sum(llm_gateway_requests_in_flight{{{CALLER}, {MODEL}}})", "short", none="0"),
        stat(
            "Refused by a limit",
            f"sum(increase(llm_gateway_limits_refusals_total{{{CALLER}}}[$__range]))",
            "short",
            none="0",
        ),
        stat(
            "Left early",
            f'sum(increase({_REQUESTS}{{{AT}, {CALLER}, {MODEL}, http_response_status_code="499"}}[$__range]))',
            "short",
            "Callers that did not wait for the end of their answer.",
            none="0",
        ),
        stacked("Tokens/s", _by_caller(_TOKENS, f"{CALLER}, {MODEL}")),
        stacked("Requests/s", _by_caller(_REQUESTS, f"{AT}, {CALLER}, {MODEL}"), unit="reqps"),
        stacked(
            "Seconds on engines, per second",
            _by_caller(_GPU, f"{CALLER}, {MODEL}"),
            unit="none",
            about="1 = one slot of one engine all the time.",
        ),
    ),
)
_HOW: Final = Row(
    "How they are served",
    (
        lines(
            "p95 wait for a turn",
            Query(_most(quantile(0.95, _WAIT, CALLER, "llm_gateway_caller")), _NAME),
            unit="s",
        ),
        stacked(
            "Under way, by caller",
            Query(f"sum by (llm_gateway_caller) (llm_gateway_requests_in_flight{{{CALLER}, {MODEL}}})", _NAME),
        ),
        lines(
            "Starved",
            Query("llm_gateway:starved:ratio5m", "5 minutes"),
            Query("llm_gateway:starved:ratio1h", "1 hour"),
            unit="percentunit",
            about="Of callers who use less than half an even share of the engines: how many of their requests waited "
            "for more than 10 s.",
        ),
        stacked(
            "Refused by a limit/s",
            Query(
                "sum by (llm_gateway_caller, llm_gateway_limit_kind, llm_gateway_limit_window) "
                f"(rate(llm_gateway_limits_refusals_total{{{CALLER}}}[{EVERY}]))",
                "{{llm_gateway_caller}}: {{llm_gateway_limit_kind}} per {{llm_gateway_limit_window}}",
            ),
            unit="reqps",
        ),
        stacked(
            "What limits on trial would have refused/s",
            Query(
                f"sum by (llm_gateway_limit_name) (rate(llm_gateway_limits_shadow_refusals_total[{EVERY}]))",
                "{{llm_gateway_limit_name}}",
            ),
            unit="reqps",
            about="Rules with `shadow: true`.",
        ),
        stacked(
            "Left early/s, and when",
            Query(
                f"sum by (llm_gateway_stage) (rate(llm_gateway_disconnects_total{{{AT}}}[{EVERY}]))",
                "{{llm_gateway_stage}}",
            ),
            unit="reqps",
        ),
    ),
)
_TABLES: Final = Row(
    "In numbers",
    (
        table(
            "By caller and model",
            Query(
                "sum by (llm_gateway_caller, gen_ai_response_model) "
                f'(increase({_TOKENS}{{{CALLER}, {MODEL}, gen_ai_token_type="input"}}[$__range]))',
                "tokens in",
            ),
            Query(
                "sum by (llm_gateway_caller, gen_ai_response_model) "
                f'(increase({_TOKENS}{{{CALLER}, {MODEL}, gen_ai_token_type="output"}}[$__range]))',
                "tokens out",
            ),
            Query(
                f"sum by (llm_gateway_caller, gen_ai_response_model) (increase({_GPU}{{{CALLER}, {MODEL}}}[$__range]))",
                "seconds",
            ),
        ),
        table(
            "Asked for, and served",
            Query(
                "sum by (gen_ai_request_model, gen_ai_response_model, llm_gateway_dialect) "
                f'(increase({_REQUESTS}{{{AT}, {CALLER}, {MODEL}, gen_ai_request_model!=""}}[$__range]))',
                "requests",
            ),
            about="Where the two differ, an alias or a policy chose.",
        ),
        table(
            "Why not",
            Query(
                "sum by (llm_gateway_caller, http_response_status_code, llm_gateway_reason) "
                f'(increase({_REQUESTS}{{{AT}, {CALLER}, {MODEL}, llm_gateway_reason!=""}}[$__range])) > 0',
                "requests",
            ),
            width=24,
        ),
    ),
)

BOARD: Final = Board(
    "callers", "Callers", "Who used what, how long did they wait, who was refused.", (_WHO, _HOW, _TABLES), USUAL
)
