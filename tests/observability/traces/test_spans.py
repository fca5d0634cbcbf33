"""An exchange as spans: names, parents, instants, attributes, and nothing that was said in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from observability.access import stage_times
from observability.traces.attributes import Attributes
from observability.traces.sampling import Why
from observability.traces.spans import FIRST_TOKEN, Kind, Span, spans_of
from observability.traces.tracer import Tracer
from observability.traces.trust import NOBODY
from policies.call import Call, Dialect, Operation
from policies.exchange import Exchange
from policies.input import Shape
from policies.obligations import Obligations
from policies.reasons import Reason
from policies.record import MASK
from tests.observability.traces.exchanges import AT, CALLER, EVERYTHING, ID, Clock, Numbers, placed, refused, served


def spans(exchange: Exchange, **headers: str) -> dict[str, Span]:
    tracer = Tracer(EVERYTHING, lambda _: None, randomness=Numbers(), clock=Clock())
    ids = iter(range(100, 200))
    found = spans_of(placed(tracer, exchange, NOBODY, **headers), AT, Why.SAMPLED, lambda: f"{next(ids):016x}")
    assert len({span.span_id for span in found}) == len(found)
    return {span.name: span for span in found}


def ms(span: Span) -> tuple[float, float]:
    """When it began and ended, in milliseconds since the request was accepted."""
    accepted = AT * 1e9 - 100e6
    return round((span.start_ns - accepted) / 1e6, 1), round((span.end_ns - accepted) / 1e6, 1)


def test_a_served_request_is_a_tree_of_four() -> None:
    found = spans(served())
    server = found["POST /v1/chat/completions"]
    assert list(found) == ["POST /v1/chat/completions", "policy", "queue", "chat tiny"]
    assert (server.kind, server.parent_id, server.error) == (Kind.SERVER, "", "")
    assert {span.parent_id for name, span in found.items() if name != server.name} == {server.span_id}
    assert found["chat tiny"].kind is Kind.CLIENT
    assert {name: ms(span) for name, span in found.items()} == {
        server.name: (0.0, 100.0),
        "policy": (2.0, 4.0),
        "queue": (5.0, 15.0),
        "chat tiny": (16.0, 99.0),
    }
    (first,) = found["chat tiny"].events
    assert first.name == FIRST_TOKEN
    assert round((first.at_ns - (AT * 1e9 - 100e6)) / 1e6, 1) == 50.0


def test_the_engine_was_told_the_id_of_the_span_that_stands_for_it() -> None:
    exchange = served()
    engine = spans(exchange)["chat tiny"]
    assert exchange.trace is not None
    assert dict(exchange.trace.headers)["traceparent"] == f"00-{ID}-{engine.span_id}-03"


def test_the_server_span_says_who_asked_for_what_and_what_came_of_it() -> None:
    exchange = served(obligations=Obligations(max_tokens=50, rate_class=None, audit=True))
    exchange.outcome.shadowed = ("team-month",)
    found = spans(exchange)["POST /v1/chat/completions"].attributes
    expected: Attributes = {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "llm_gateway.request.id": ID,
        "llm_gateway.listener": "lan",
        "llm_gateway.caller": "ann",
        "llm_gateway.key.id": "k1",
        "llm_gateway.groups": ("dev", "ops"),
        "llm_gateway.dialect": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "Tiny",
        "gen_ai.response.model": "tiny",
        "llm_gateway.engine": "box",
        "llm_gateway.decision.revision": "r1",
        "llm_gateway.obligations": ("max_tokens", "audit"),
        "llm_gateway.limits.shadowed": ("team-month",),
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 2,
        "gen_ai.response.finish_reasons": ("stop",),
        "user_agent.name": "curl",
        "client.address": "10.1.2.3",
    }
    assert expected.items() <= found.items()
    assert found["llm_gateway.queue.duration"] == pytest.approx(0.01)


def test_the_engine_span_follows_the_conventions_of_a_client() -> None:
    found = spans(served())["chat tiny"].attributes
    expected: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert expected.items() <= found.items()
    assert found["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.034)


def test_a_whole_answer_has_no_first_token() -> None:
    exchange = served()
    exchange.shape = Shape()
    engine = spans(exchange)["chat tiny"]
    assert engine.events == ()
    assert "gen_ai.response.time_to_first_chunk" not in engine.attributes


def test_a_model_that_is_fetched_is_no_stream_of_tokens() -> None:
    exchange = served()
    exchange.call = Call(Operation.MODELS_PULL, Dialect.OLLAMA, "Tiny", stream=True)
    engine = spans(exchange)["models.pull tiny"]
    assert engine.events == ()
    assert "gen_ai.response.time_to_first_chunk" not in engine.attributes
    exchange.model = ""  # it failed: there is none of that name
    assert "models.pull" in spans(exchange)


def test_what_an_obligation_hides_is_hidden() -> None:
    exchange = served()
    exchange.redact = frozenset({"caller.id", "model.requested", "source.ip"})
    found = spans(exchange)["POST /v1/chat/completions"].attributes
    assert (found["llm_gateway.caller"], found["gen_ai.request.model"], found["client.address"]) == (MASK,) * 3


def test_nothing_that_was_said_is_in_a_span() -> None:
    exchange = served()
    exchange.requested = "canary, which is no name of a model"
    exchange.outcome.detail = "canary: what an engine wrote"
    exchange.outcome.reason = Reason.ENGINE_BROKE
    assert "canary" not in str(list(spans(exchange).values()))


def test_the_limit_that_refused_is_named() -> None:
    exchange = refused(Reason.LIMIT_EXCEEDED)
    exchange.outcome.detail = "your key: tokens per day"
    assert spans(exchange)["POST"].attributes["llm_gateway.limits.refused"] == ("your key: tokens per day",)


def test_a_stranger_leaves_one_span_without_an_error_status() -> None:
    (span,) = spans(refused(Reason.MISSING_CREDENTIAL)).values()
    assert (span.name, span.error) == ("POST", "")  # conventions: 4xx leaves a server span's status unset
    assert span.attributes["error.type"] == "missing_credential"
    assert "llm_gateway.caller" not in span.attributes


def test_a_denial_ends_in_the_policy_span() -> None:
    exchange = served()
    stages = exchange.stages
    stages.decided = stages.queued = stages.turn = stages.sent = stages.first_byte = stages.answered = 0.0
    exchange.outcome.status, exchange.outcome.reason, exchange.engine = 403, Reason.MODEL_NOT_PERMITTED, ""
    found = spans(exchange)
    assert list(found) == ["POST /v1/chat/completions", "policy"]
    assert ms(found["policy"]) == (2.0, 100.0)
    assert found["policy"].attributes["llm_gateway.decision.allowed"] is False
    assert found["policy"].attributes["llm_gateway.decision.reason"] == "model_not_permitted"
    assert found["policy"].error == ""


def test_a_full_queue_is_where_it_failed() -> None:
    exchange = served()
    stages = exchange.stages
    stages.turn = stages.sent = stages.first_byte = stages.answered = 0.0
    exchange.outcome.status, exchange.outcome.reason = 503, Reason.QUEUE_TIMEOUT
    found = spans(exchange)
    assert list(found) == ["POST /v1/chat/completions", "policy", "queue"]
    assert [span.error for span in found.values()] == ["queue_timeout", "", "queue_timeout"]
    assert ms(found["queue"]) == (5.0, 100.0)


def test_an_engine_that_breaks_is_where_it_failed() -> None:
    exchange = served()
    exchange.outcome.reason = Reason.ENGINE_BROKE
    found = spans(exchange)
    assert [span.error for span in found.values()] == ["engine_broke", "", "", "engine_broke"]
    assert found["POST /v1/chat/completions"].attributes["llm_gateway.status_code"] == 502


def test_own_routes_have_a_policy_span_from_the_moment_the_caller_is_known() -> None:
    exchange = served()
    exchange.call, exchange.route, exchange.method, exchange.engine = None, "/v1/models", "GET", ""
    stages = exchange.stages
    stages.parsed = stages.queued = stages.turn = stages.sent = stages.first_byte = stages.answered = 0.0
    found = spans(exchange)
    assert list(found) == ["GET /v1/models", "policy"]
    assert ms(found["policy"]) == (1.0, 4.0)


def test_a_stranger_is_linked() -> None:
    (link,) = spans(served(), traceparent=CALLER)["POST /v1/chat/completions"].links
    assert (link.trace_id, link.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


def test_the_engines_span_says_what_the_engine_was_asked() -> None:
    exchange = served()
    assert exchange.call is not None
    exchange.asked = replace(exchange.call, max_tokens=20, body={})  # clamped to what is left, and stripped
    said = spans(exchange)["chat tiny"].attributes
    assert said["gen_ai.request.max_tokens"] == 20
    assert "gen_ai.request.temperature" not in said


def test_the_access_line_calls_the_same_time_the_queue() -> None:
    exchange = served()
    times, found = stage_times(exchange.stages), spans(exchange)["queue"].attributes
    assert (times["hold"], times["queue"]) == (1.0, 10.0)
    assert found["llm_gateway.queue.duration"] == pytest.approx(0.010)
