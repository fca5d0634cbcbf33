"""The subject of a JWT stands in its id, its label and the name of its own limit: what hides it hides it everywhere."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from observability.access import access_line
from observability.live.snapshot import look
from observability.otlp.records import LogRecords, Record
from observability.traces.sampling import Why
from observability.traces.spans import spans_of
from observability.traces.tracer import Tracer
from policies.exchange import Exchange
from policies.origin import Container
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from policies.record import MASK
from tests.observability.traces.exchanges import EVERYTHING, Clock, Numbers, placed, served

SUBJECT = "canary"
TOKEN = Principal(f"corp:{SUBJECT}", f"jwt:corp:{SUBJECT}", SUBJECT, "jwt", frozenset(), DEFAULT_SCOPES)
KEY = Principal("ann", "k1", "laptop", "key", frozenset(), DEFAULT_SCOPES)


def limited(principal: Principal, *hidden: str) -> Exchange:
    """One that is over the limit that its own credential has."""
    exchange = served()
    exchange.principal, exchange.redact = principal, frozenset(hidden)
    exchange.outcome.status, exchange.outcome.reason = 429, Reason.LIMIT_EXCEEDED
    exchange.outcome.detail = f"key {principal.name}: requests per minute"
    return placed(Tracer(EVERYTHING, lambda _: None, randomness=Numbers(), clock=Clock()), exchange)


def said(exchange: Exchange) -> str:
    """All that is said of it, by whatever way."""
    records: list[Record] = []
    LogRecords(records.append, rate=10.0, clock=Clock()).ended(exchange, 1.0)
    spans = spans_of(exchange, 1.0, Why.DENIED, lambda: "1" * 16)
    line = orjson.dumps(access_line(exchange, at=1.0)).decode()
    return f"{line} {records} {spans} {look(exchange, 11.0)}"


def test_the_subject_of_a_token_is_hidden_wherever_it_stands() -> None:
    shown, hidden = said(limited(TOKEN)), said(limited(TOKEN, "caller.id"))
    assert SUBJECT in shown
    assert SUBJECT not in hidden
    assert f"key {MASK}: requests per minute" in hidden


def test_the_id_of_a_key_says_nothing_of_its_owner() -> None:
    line = access_line(limited(KEY, "caller.id"), at=1.0)
    assert (line["caller"], line["key_id"], line["detail"]) == (MASK, "k1", "key laptop: requests per minute")
    assert access_line(limited(KEY, "caller.name"), at=1.0)["detail"] == f"key {MASK}: requests per minute"


def test_a_token_is_not_named_to_who_watches_before_the_policy_has_decided() -> None:
    exchange = served()
    exchange.principal, exchange.stages.decided = TOKEN, 0.0
    assert look(exchange, 11.0).key_id is None
    exchange.principal = KEY
    assert look(exchange, 11.0).key_id == "k1"


@pytest.mark.parametrize("hidden", ["caller.id", "caller.name", "source.container", "source.ip"])
def test_what_hides_who_calls_or_from_where_hides_the_device(hidden: str) -> None:
    key = replace(KEY, device="canary-d")
    shown = limited(key)
    assert access_line(shown, at=1.0)["device"] == "canary-d"
    assert "llm_gateway.client.device" in said(shown)
    assert "canary" not in said(limited(key, hidden))


@pytest.mark.parametrize("hidden", ["source.container", "source.ip"])
def test_a_hidden_place_hides_the_container_there(hidden: str) -> None:
    shown, masked = limited(KEY), limited(KEY, hidden)
    shown.container = masked.container = Container("canary-c", "canary-n", "canary-s", "canary-v")
    assert all(name in said(shown) for name in ("canary-c", "canary-n", "canary-s", "canary-v"))
    assert "canary" not in said(masked)
