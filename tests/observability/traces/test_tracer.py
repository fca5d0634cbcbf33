"""Whose trace a request joins, and which traces are kept."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from observability.traces.sampling import Rate, Ratio, Why, worth
from observability.traces.spans import Span
from observability.traces.tracer import Sampling, Tracer
from observability.traces.trust import ListenerTrace, Trust
from policies.exchange import Exchange
from policies.reasons import Reason
from policies.trace import SpanContext
from tests.observability.traces.exchanges import (
    AT,
    CALLER,
    EVERYTHING,
    ID,
    NOTHING,
    WHO,
    Clock,
    Numbers,
    placed,
    refused,
    served,
)

PARENT = SpanContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "vendor=x")
AUTHENTICATED = ListenerTrace(Trust.AUTHENTICATED)
OFFICE = ListenerTrace(Trust.NETWORKS, (ip_network("10.1.0.0/16"),))


class Kept:
    """A tracer with what it keeps."""

    def __init__(self, sampling: Sampling) -> None:
        self.traces: list[list[Span]] = []
        self.clock = Clock()
        self.tracer = Tracer(sampling, self.traces.append, randomness=Numbers(), clock=self.clock)

    def end(self, exchange: Exchange) -> bool:
        """Whether `exchange`, over now, is kept."""
        before = len(self.traces)
        self.tracer.ended(exchange, AT)
        assert exchange.trace is not None
        assert exchange.trace.kept is (len(self.traces) > before)
        return exchange.trace.kept


@pytest.fixture
def everything() -> Kept:
    return Kept(EVERYTHING)


@pytest.fixture
def nothing() -> Kept:
    return Kept(NOTHING)


def stranger() -> Exchange:
    exchange = served()
    exchange.principal = None
    return exchange


# -- trust


def test_a_request_without_a_context_begins_a_trace_with_its_own_id(everything: Kept) -> None:
    trace = placed(everything.tracer, served()).trace
    assert trace is not None
    assert (trace.id, trace.parent, trace.link) == (ID, None, None)
    assert trace.headers == (("traceparent", f"00-{ID}-{trace.engine_span_id}-03"),)


def test_nobody_is_believed_by_default(nothing: Kept) -> None:
    trace = placed(nothing.tracer, served(), traceparent=CALLER, tracestate="vendor=x").trace
    assert trace is not None
    assert (trace.id, trace.sampled, trace.parent) == (ID, False, None)
    assert trace.link == SpanContext(PARENT.trace_id, PARENT.span_id, 1)
    assert trace.headers == (("traceparent", f"00-{ID}-{trace.engine_span_id}-02"),)


@pytest.mark.parametrize(
    ("listener", "ip", "known", "joins"),
    [
        (AUTHENTICATED, "9.9.9.9", True, True),
        (AUTHENTICATED, "10.1.2.3", False, False),
        (OFFICE, "10.1.2.3", False, True),
        (OFFICE, "::ffff:10.1.2.3", False, True),
        (OFFICE, "10.2.2.3", True, False),
    ],
)
def test_joins_the_trace_of_whom_the_listener_trusts(
    listener: ListenerTrace, ip: str, known: bool, joins: bool
) -> None:
    kept = Kept(NOTHING)
    exchange = served() if known else stranger()
    exchange.client = type(exchange.client)(ip, 1, "lan")
    trace = placed(kept.tracer, exchange, listener, traceparent=CALLER, tracestate="vendor=x").trace
    assert trace is not None
    if not joins:
        assert (trace.id, trace.link is not None) == (ID, True)
        return
    assert (trace.id, trace.parent, trace.link, trace.sampled) == (PARENT.trace_id, PARENT, None, True)
    assert trace.headers == (
        ("traceparent", f"00-{PARENT.trace_id}-{trace.engine_span_id}-01"),
        ("tracestate", "vendor=x"),
    )


def test_an_authenticated_caller_is_believed_once_it_is_known(everything: Kept) -> None:
    exchange = placed(everything.tracer, stranger(), AUTHENTICATED, traceparent=CALLER)
    assert exchange.trace is not None
    assert exchange.trace.id == ID
    exchange.principal = WHO
    again = placed(everything.tracer, exchange, AUTHENTICATED, traceparent=CALLER).trace
    assert again is not None
    assert again.parent == SpanContext(PARENT.trace_id, PARENT.span_id, 1)
    assert again.link is None


def test_being_asked_again_changes_nothing_else(everything: Kept) -> None:
    exchange = placed(everything.tracer, served())
    first = exchange.trace
    assert placed(everything.tracer, exchange, AUTHENTICATED).trace is first
    assert placed(everything.tracer, exchange, OFFICE, traceparent=CALLER).trace is first


def test_a_context_that_is_not_valid_counts_as_none(everything: Kept) -> None:
    trace = placed(everything.tracer, served(), AUTHENTICATED, traceparent="nonsense", tracestate="a=1").trace
    assert trace is not None
    assert (trace.id, trace.parent, trace.link) == (ID, None, None)
    assert dict(trace.headers).keys() == {"traceparent"}


def test_networks_and_trust_belong_together() -> None:
    with pytest.raises(ValueError, match="networks"):
        ListenerTrace(Trust.NETWORKS)
    with pytest.raises(ValueError, match="networks"):
        ListenerTrace(Trust.NONE, (ip_network("10.0.0.0/8"),))


# -- what is kept


def test_a_trusted_caller_that_does_not_sample_is_followed(everything: Kept) -> None:
    exchange = placed(everything.tracer, served(), AUTHENTICATED, traceparent=CALLER[:-1] + "0")
    assert exchange.trace is not None
    assert dict(exchange.trace.headers)["traceparent"].endswith("-00")
    assert not everything.end(exchange)


def test_trusted_callers_sample_so_many_and_no_more() -> None:
    kept = Kept(Sampling(ratio=0.0, trusted=10.0))
    sampled = [placed(kept.tracer, served(), AUTHENTICATED, traceparent=CALLER).trace for _ in range(200)]
    assert sum(trace is not None and trace.sampled for trace in sampled) == 50  # five seconds' worth
    kept.clock.now += 1.0
    sampled = [placed(kept.tracer, served(), AUTHENTICATED, traceparent=CALLER).trace for _ in range(200)]
    assert sum(trace is not None and trace.sampled for trace in sampled) == 10


@pytest.mark.parametrize("reason", [Reason.ENGINE_BROKE, Reason.INTERNAL, Reason.MODEL_NOT_PERMITTED])
def test_errors_and_denials_are_kept_whatever_was_said_before(nothing: Kept, reason: Reason) -> None:
    assert nothing.end(placed(nothing.tracer, refused(reason)))
    unsampled = placed(nothing.tracer, refused(reason), OFFICE, traceparent=CALLER[:-1] + "0")
    assert nothing.end(unsampled)


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_ROUTE, Reason.INVALID_JSON, Reason.CLIENT_GONE])
def test_other_refusals_are_kept_by_ratio_only(nothing: Kept, everything: Kept, reason: Reason) -> None:
    assert not nothing.end(placed(nothing.tracer, refused(reason)))
    assert everything.end(placed(everything.tracer, refused(reason)))


def test_an_answer_that_breaks_half_way_is_an_error_though_its_status_was_200(nothing: Kept) -> None:
    exchange = placed(nothing.tracer, served())
    exchange.outcome.reason = Reason.ENGINE_BROKE
    assert worth(exchange, 10.0) is Why.ERROR
    assert nothing.end(exchange)


def test_slow_ones_are_kept() -> None:
    kept = Kept(Sampling(ratio=0.0, slow=0.2))
    exchange = placed(kept.tracer, served())
    assert not kept.end(exchange)
    exchange.stages.done = exchange.stages.accepted + 0.25
    assert kept.end(exchange)
    assert kept.traces[0][0].attributes["llm_gateway.kept"] == "slow"


def test_a_flood_of_denials_costs_so_many_traces_and_hides_no_error() -> None:
    kept = Kept(Sampling(ratio=0.0, rate=4.0))
    ends = [kept.end(placed(kept.tracer, refused(Reason.MISSING_CREDENTIAL))) for _ in range(1000)]
    assert sum(ends) == 20
    assert kept.tracer.limited == 980
    assert kept.end(placed(kept.tracer, refused(Reason.ENGINE_UNREACHABLE)))
    kept.clock.now += 1.0
    assert sum(kept.end(placed(kept.tracer, refused(Reason.MISSING_CREDENTIAL))) for _ in range(100)) == 4


def test_nothing_is_made_of_what_is_not_kept(nothing: Kept) -> None:
    assert not nothing.end(placed(nothing.tracer, served()))
    assert nothing.traces == []


def test_an_exchange_without_a_trace_is_left_alone(everything: Kept) -> None:
    everything.tracer.ended(served(), AT)
    assert everything.traces == []


@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.5])
def test_the_share_that_is_kept_is_the_ratio(ratio: float) -> None:
    seeded, sampler, count = random.Random(7), Ratio(ratio), 40_000
    kept = sum(sampler.keeps(seeded.randbytes(16).hex()) for _ in range(count))
    # Five standard deviations of a binomial; the seed makes it the same each time.
    assert abs(kept - ratio * count) < 5 * (ratio * (1 - ratio) * count) ** 0.5


def test_gateways_agree_and_a_higher_ratio_keeps_what_a_lower_one_keeps() -> None:
    seeded, low, high = random.Random(1), Ratio(0.1), Ratio(0.3)
    ids = [seeded.randbytes(16).hex() for _ in range(5_000)]
    assert [low.keeps(each) for each in ids] == [Ratio(0.1).keeps(each) for each in ids]
    assert all(high.keeps(each) for each in ids if low.keeps(each))


def test_all_and_none_mean_all_and_none() -> None:
    for trace_id in ("0" * 31 + "1", "f" * 32):
        assert Ratio(1.0).keeps(trace_id)
        assert not Ratio(0.0).keeps(trace_id)
    with pytest.raises(ValueError, match="ratio"):
        Ratio(1.5)


def test_a_rate_never_saves_up_more_than_its_burst() -> None:
    rate = Rate(2.0, 3.0)
    assert [rate.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [rate.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert not rate.take(1000.4)
    assert rate.take(1000.5)


def test_span_ids_are_never_zero() -> None:
    tracer = Tracer(EVERYTHING, lambda _: None, randomness=bytes, clock=Clock())
    trace = placed(tracer, served()).trace
    assert trace is not None
    assert trace.span_id == trace.engine_span_id == "0" * 15 + "1"
