"""What a finished request adds to which series: from the line's own findings, never from a caller's text."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from observability.metrics import catalogue as names
from observability.metrics.exposition import OPENMETRICS, blocks
from observability.metrics.instruments import Mark
from observability.metrics.observer import RequestMetrics
from observability.metrics.registry import Registry
from observability.metrics.snapshot import Family, Point
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange, Outcome, Stages, Usage
from policies.input import Shape
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import CAUSES, Reason

ANN = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES)
WHO = ("chat", "vllm", "tiny", "tiny")
CHAT = "/v1/chat/completions"


class Seen:
    """A registry with the observer under test; `known` are the models that there are."""

    def __init__(self, *known: str, sampled: Callable[[Exchange, float], Mark | None] = lambda _, __: None) -> None:
        self.registry = Registry(time.time)
        self.observer = RequestMetrics(self.registry, known=lambda name: name if name in known else "", sampled=sampled)

    def tell(self, *exchanges: Exchange) -> Seen:
        for exchange in exchanges:
            self.observer.ended(exchange, 7.0)
        return self

    def points(self, family: Family) -> dict[tuple[str, ...], Point]:
        points = next(each.points for each in self.registry.snapshots() if each.family is family)
        return {point.labels: point for point in points}

    def values(self, family: Family) -> Mapping[tuple[str, ...], object]:
        return {labels: pytest.approx(point.value) for labels, point in self.points(family).items()}

    @property
    def text(self) -> str:
        return "".join(block for each in self.registry.snapshots() for block in blocks(each, OPENMETRICS))

    @property
    def series(self) -> int:
        return sum(len(each.points) for each in self.registry.snapshots())


def changed(exchange: Exchange, changes: Mapping[str, object]) -> Exchange:
    for name, value in changes.items():
        setattr(exchange, name, value)
    return exchange


def served(**changes: object) -> Exchange:
    """A streamed answer: 1 ms to identify, 2 s in line, 0.5 s to the first byte, 4 s for the rest, 9 tokens."""
    exchange = Exchange("a" * 32, Client("10.0.0.1", 5, "lan"), method="POST", route=CHAT, principal=ANN)
    exchange.call = Call(Operation.CHAT, Dialect.OPENAI, model="tiny", stream=True)
    exchange.shape = Shape(stream=True)
    exchange.requested, exchange.model, exchange.engine, exchange.provider = "tiny", "tiny", "dmr", "vllm"
    exchange.outcome = Outcome(200, finish="stop", usage=Usage(11, 9, 0, "engine"), bytes_in=400, bytes_out=900)
    exchange.outcome.gpu_ms = 4_500
    exchange.stages = Stages(
        accepted=10.0,
        identified=10.001,
        received=10.5,
        parsed=10.501,
        decided=10.502,
        queued=10.502,
        turn=12.502,
        sent=12.503,
        first_byte=13.003,
        answered=17.003,
        done=17.004,
    )
    return changed(exchange, changes)


def refused(reason: Reason, *, known: bool = True, **changes: object) -> Exchange:
    """A request that never came to an engine."""
    exchange = Exchange("b" * 32, Client("10.0.0.1", 5, "lan"), method="POST", principal=ANN if known else None)
    exchange.outcome = Outcome(CAUSES[reason].status, reason)
    exchange.stages = Stages(accepted=1.0, done=1.25)
    return changed(exchange, changes)


def test_a_served_request_is_in_every_family_it_belongs_to() -> None:
    seen = Seen("tiny").tell(served())
    request = ("lan", "ann", "openai", "chat", "tiny", "tiny", "200", "")
    assert seen.values(names.REQUESTS) == {request: 1}
    assert seen.values(names.HTTP_DURATION) == {("POST", "http", CHAT, "200", "", "lan"): 7.004}
    assert seen.values(names.HTTP_REQUEST_SIZE) == {("POST", "http", CHAT, "lan"): 400}
    assert seen.values(names.HTTP_RESPONSE_SIZE) == {("POST", "http", CHAT, "lan"): 900}
    assert seen.values(names.SERVER_DURATION) == {(*WHO, ""): 7.004}
    assert seen.values(names.TIME_TO_FIRST_TOKEN) == {WHO: 3.003}
    assert seen.values(names.TIME_PER_OUTPUT_TOKEN) == {WHO: 0.5}
    assert seen.values(names.CLIENT_DURATION) == {(*WHO, "dmr", ""): 4.5}
    assert seen.values(names.TIME_TO_FIRST_CHUNK) == {(*WHO, "dmr"): 0.5}
    assert seen.values(names.TOKEN_USAGE) == {(*WHO, "input"): 11, (*WHO, "output"): 9}
    assert seen.values(names.TOKENS_USED) == {("ann", "tiny", "input"): 11, ("ann", "tiny", "output"): 9}
    assert seen.values(names.GPU_TIME) == {("ann", "tiny", "dmr"): 4.5}
    assert seen.values(names.QUEUE_WAIT) == {("dmr", "ann", ""): 2.0}
    assert seen.values(names.OVERHEAD) == {("lan",): 0.005}
    for family in (names.LOADS, names.DISCONNECTS, names.AUTH_FAILURES, names.LIMIT_REFUSALS, names.SHADOW_REFUSALS):
        assert seen.values(family) == {}


def test_a_whole_answer_has_no_first_token() -> None:
    seen = Seen("tiny").tell(served(shape=Shape()))
    assert seen.values(names.TIME_TO_FIRST_TOKEN) == seen.values(names.TIME_PER_OUTPUT_TOKEN) == {}
    assert len(seen.values(names.CLIENT_DURATION)) == 1


def test_one_token_has_no_time_per_token() -> None:
    exchange = served()
    exchange.outcome.usage.output = 1
    seen = Seen("tiny").tell(exchange)
    assert len(seen.values(names.TIME_TO_FIRST_TOKEN)) == 1
    assert seen.values(names.TIME_PER_OUTPUT_TOKEN) == {}


def test_a_load_is_counted_for_its_engine_and_model() -> None:
    assert Seen().tell(served(loaded=True), served()).values(names.LOADS) == {("dmr", "tiny"): 1}


@pytest.mark.parametrize(
    "reason",
    [Reason.MISSING_CREDENTIAL, Reason.INVALID_CREDENTIAL, Reason.CREDENTIAL_REVOKED, Reason.TOO_MANY_FAILURES],
)
def test_failures_to_authenticate_are_counted_by_reason_and_listener(reason: Reason) -> None:
    seen = Seen().tell(refused(reason, known=False))
    assert seen.values(names.AUTH_FAILURES) == {("lan", reason.value): 1}
    assert seen.values(names.HTTP_DURATION) == {
        ("POST", "http", "", str(CAUSES[reason].status), reason.value, "lan"): 0.25
    }
    assert seen.values(names.SERVER_DURATION) == {}


@pytest.mark.parametrize(
    ("reason", "limit", "labels"),
    [
        (Reason.LIMIT_EXCEEDED, ("tokens", "minute"), ("tokens", "minute", "ann")),
        (Reason.CONCURRENCY_EXCEEDED, ("", ""), ("concurrency", "", "ann")),
        (Reason.QUOTA_EXCEEDED, ("", ""), ("quota", "", "ann")),
    ],
)
def test_refusals_over_limits_say_which_kind(reason: Reason, limit: tuple[str, str], labels: tuple[str, ...]) -> None:
    exchange = refused(reason)
    exchange.outcome.limit = limit
    assert Seen().tell(exchange).values(names.LIMIT_REFUSALS) == {labels: 1}


def test_limits_on_trial_are_counted_beside_an_answer() -> None:
    exchange = served()
    exchange.outcome.shadowed = ("night", "team")
    assert Seen().tell(exchange).values(names.SHADOW_REFUSALS) == {("night",): 1, ("team",): 1}


@pytest.mark.parametrize(
    ("stages", "where"),
    [
        (Stages(accepted=1.0, done=2.0), "before"),
        (Stages(accepted=1.0, decided=1.1, done=2.0), "queue"),
        (Stages(accepted=1.0, decided=1.1, turn=1.2, sent=1.3, done=2.0), "prefill"),
        (Stages(accepted=1.0, decided=1.1, turn=1.2, sent=1.3, first_byte=1.4, done=2.0), "answer"),
    ],
)
def test_who_left_is_counted_by_where(stages: Stages, where: str) -> None:
    assert Seen().tell(refused(Reason.CLIENT_GONE, stages=stages)).values(names.DISCONNECTS) == {("lan", where): 1}


def test_what_was_relayed_before_a_failure_is_counted_with_its_reason() -> None:
    exchange = served()
    exchange.outcome.reason = Reason.ENGINE_BROKE
    seen = Seen("tiny").tell(exchange)
    assert seen.values(names.CLIENT_DURATION) == {(*WHO, "dmr", "engine_broke"): 4.5}
    assert len(seen.values(names.TOKENS_USED)) == 2
    assert seen.values(names.TIME_TO_FIRST_TOKEN) == seen.values(names.OVERHEAD) == {}


def test_what_an_obligation_takes_out_of_records_is_not_in_metrics() -> None:
    seen = Seen("tiny").tell(served(redact=frozenset({"caller.id", "model.requested"})))
    assert "ann" not in seen.text
    assert ("lan", "(redacted)", "openai", "chat", "(redacted)", "tiny", "200", "") in seen.values(names.REQUESTS)


def test_sampled_requests_lead_to_their_trace() -> None:
    mark = Mark(7.0, "ab" * 16, "cd" * 8)
    seen = Seen("tiny", sampled=lambda exchange, at: mark if exchange.outcome.status == 200 and at == 7.0 else None)
    seen.tell(refused(Reason.UNKNOWN_ROUTE), served())
    (point,) = seen.points(names.SERVER_DURATION).values()
    examples = [example for example in point.exemplars if example is not None]
    assert [example.trace_id for example in examples] == ["ab" * 16]
    assert examples[0].value == pytest.approx(7.004)
    assert all(
        example is None
        for each in seen.points(names.HTTP_DURATION).values()
        if each.labels[3] == "404"
        for example in each.exemplars
    )


def test_more_callers_than_a_family_holds_share_one_series() -> None:
    seen = Seen("tiny")
    for number in range(3_000):
        seen.observer.ended(served(principal=replace(ANN, id=f"owner{number}")), 7.0)
    points = seen.points(names.TOKENS_USED)
    assert len(points) == names.MOST_SERIES + 2  # in and out
    assert sum(point.value for point in points.values()) == 3_000 * 20
    assert seen.values(names.SERIES_DROPPED)[names.TOKENS_USED.name,] == 2 * 2_000
