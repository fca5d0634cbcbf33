"""The snapshot says who does what, how fast, and nothing that records must not hold."""

from __future__ import annotations

import orjson

from observability.live.snapshot import MOST_REQUESTS, Engine, Process, Recent, document, look
from policies.exchange import Exchange
from policies.json import Object, as_list, as_object
from policies.record import MASK
from tests.observability.live.exchanges import Standing, arrived, decided, streaming

PROCESS = Process("1.0", 60.0, 1 << 20, 2 << 20, 0.001, 1, draining=False)
ENGINE = Engine(
    "dmr",
    "docker-model-runner",
    up=True,
    slots=2,
    running=1,
    elsewhere=0,
    waiting=0,
    loading=False,
    models=("tiny",),
)


def seen(*exchanges: Exchange, now: float = 4.0, recent: Recent | None = None) -> Object:
    running = [look(exchange, now) for exchange in exchanges]
    return document(running, [ENGINE], PROCESS, recent or Recent(60.0, {}), at=7.0)


def first(found: Object, name: str) -> Object:
    return as_object(as_list(found[name])[0])


def test_a_stream_shows_its_tokens_and_how_fast_they_come() -> None:
    found = seen(streaming(tokens=50))
    request = first(found, "requests")
    assert (request["phase"], request["seconds"], request["tokens_out"]) == ("streaming", 3.0, 50)
    assert request["tokens_per_second"] == 25.0
    assert first(found, "engines")["tokens_per_second"] == 25.0
    assert first(found, "callers") == {
        "caller": "ann", "in_flight": 1, "tokens_recent": 50, "tokens_per_second": 25.0,
    }  # fmt: skip


def test_what_waits_shows_its_place_and_generates_nothing() -> None:
    exchange = decided()
    exchange.progress = Standing(position=2)
    exchange.outcome.estimated = 12
    request = first(seen(exchange), "requests")
    assert (request["phase"], request["position"], request["tokens_in"]) == ("queued", 2, 12)
    assert request["tokens_out"] is request["tokens_per_second"] is None


def test_a_rate_over_no_time_is_none() -> None:
    assert first(seen(streaming(), now=2.05), "requests")["tokens_per_second"] is None


def test_callers_are_hidden_where_an_obligation_says_so_and_until_it_is_known() -> None:
    hidden = streaming("secret-owner")
    hidden.redact = frozenset({"caller.id"})
    found = seen(hidden, arrived("other-owner"))
    assert b"owner" not in orjson.dumps(found["callers"])
    assert [as_object(one)["caller"] for one in as_list(found["requests"])] == [MASK, None]
    assert first(found, "callers")["caller"] == MASK


def test_no_prompt_address_or_spelling_of_the_caller_is_in_it() -> None:
    exchange = streaming()
    exchange.requested = "SECRET-spelling"
    text = orjson.dumps(seen(exchange))
    assert b"SECRET" not in text
    assert b"10.0.0.1" not in text


def test_the_oldest_come_first_and_the_rest_is_counted() -> None:
    found = seen(*(streaming(at=1.0 + n / 1000) for n in range(MOST_REQUESTS + 7)))
    requests = as_list(found["requests"])
    assert (len(requests), found["requests_left_out"]) == (MOST_REQUESTS, 7)
    ages = [as_object(request)["seconds"] for request in requests]
    assert ages == sorted(ages, key=lambda age: -float(str(age)))
    assert as_object(found["process"])["in_flight"] == MOST_REQUESTS + 7


def test_callers_are_sorted_by_what_they_have_under_way_and_then_by_tokens() -> None:
    found = seen(streaming("ann"), recent=Recent(60.0, {"bob": 5, "cleo": 500}))
    assert [as_object(one)["caller"] for one in as_list(found["callers"])] == ["ann", "cleo", "bob"]
