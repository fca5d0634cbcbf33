"""The board of policy and security: who is let in, who is not, and what knocks."""

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
_DECISIONS: Final = "llm_gateway_policy_decisions_total"
_FAILURES: Final = "llm_gateway_auth_failures_total"
_WIRE: Final = "llm_gateway_wire_refusals_total"
_TIME: Final = "llm_gateway_policy_duration_seconds"
_DOOR: Final = "llm_gateway_connections"

_NOW: Final = Row(
    "At a glance",
    (
        stat("Decisions", f"sum(increase({_DECISIONS}[$__range]))", "short", none="0"),
        stat(
            "Denied",
            f'sum(rate({_DECISIONS}{{llm_gateway_decision="deny"}}[$__range])) / sum(rate({_DECISIONS}[$__range]))',
            "percentunit",
            none="0 %",
        ),
        stat("Policy engine", "min(llm_gateway_policy_up)", "bool_on_off", "Whether it answers, at every gateway."),
        stat("p95 decision", quantile(0.95, _TIME, "", over="$__range"), "s"),
        stat("Without a valid credential", f"sum(increase({_FAILURES}{{{AT}}}[$__range]))", "short", none="0"),
        stat("Turned away at the door", f"sum(increase({_DOOR}_refused_total{{{AT}}}[$__range]))", "short", none="0"),
    ),
)
_POLICY: Final = Row(
    "Policy",
    (
        stacked(
            "Decisions/s",
            Query(
                f"sum by (llm_gateway_decision, llm_gateway_policy_engine) (rate({_DECISIONS}[{EVERY}]))",
                "{{llm_gateway_decision}} by {{llm_gateway_policy_engine}}",
            ),
            about="`credential`: its own bounds said no, and no policy was asked. `cache`: the policy had been asked "
            "the same before.",
        ),
        stacked(
            "Denials/s by reason",
            Query(
                f'sum by (llm_gateway_reason) (rate({_DECISIONS}{{llm_gateway_decision="deny"}}[{EVERY}]))',
                "{{llm_gateway_reason}}",
            ),
        ),
        lines(
            "Time of a decision, p95",
            Query(quantile(0.95, _TIME, "", "llm_gateway_policy_engine"), "{{llm_gateway_policy_engine}}"),
            unit="s",
        ),
        table(
            "Whom the policy refused",
            Query(
                "sum by (llm_gateway_caller, gen_ai_request_model, llm_gateway_reason) "
                f'(increase({_REQUESTS}{{{AT}, {CALLER}, {MODEL}, http_response_status_code="403"}}[$__range])) > 0',
                "requests",
            ),
            about="`llm-gateway policy decisions` has each one; `policy explain REQUEST_ID` says why.",
            width=24,
        ),
    ),
)
_DOOR_ROW: Final = Row(
    "Credentials and the door",
    (
        stacked(
            "Without a valid credential/s",
            Query(
                f"sum by (llm_gateway_listener, llm_gateway_reason) (rate({_FAILURES}{{{AT}}}[{EVERY}]))",
                "{{llm_gateway_listener}}: {{llm_gateway_reason}}",
            ),
            unit="reqps",
        ),
        stacked(
            "Refused as HTTP/s",
            Query(
                f"sum by (llm_gateway_listener, llm_gateway_reason) (rate({_WIRE}{{{AT}}}[{EVERY}]))",
                "{{llm_gateway_listener}}: {{llm_gateway_reason}}",
            ),
            unit="reqps",
            about="Malformed heads, unknown host names, heads that come too slowly. They leave no access line.",
        ),
        lines(
            "Connections",
            Query(f"sum by (llm_gateway_listener) ({_DOOR}{{{AT}}})", "open {{llm_gateway_listener}}"),
            Query(
                f"sum by (llm_gateway_listener) (rate({_DOOR}_refused_total{{{AT}}}[{EVERY}]))",
                "refused/s {{llm_gateway_listener}}",
            ),
        ),
        stacked(
            "Routes/s",
            Query(
                "sum by (http_request_method, http_route) "
                f"(rate(http_server_request_duration_seconds_count{{{AT}}}[{EVERY}]))",
                "{{http_request_method}} {{http_route}}",
            ),
            unit="reqps",
            about="Without a route: 404, or refused before it was known.",
        ),
        lines(
            "p95 of all requests, by route",
            Query(quantile(0.95, "http_server_request_duration_seconds", AT, "http_route"), "{{http_route}}"),
            unit="s",
        ),
        lines(
            "Sizes, p95",
            Query(quantile(0.95, "http_server_request_body_size_bytes", AT), "requests"),
            Query(quantile(0.95, "http_server_response_body_size_bytes", AT), "answers"),
            unit="bytes",
        ),
    ),
)

BOARD: Final = Board(
    "security",
    "Policy and security",
    "Who is let in, who is not, and what knocks.",
    (_NOW, _POLICY, _DOOR_ROW),
    USUAL,
)
