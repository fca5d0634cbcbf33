"""The access line holds what its page in docs/operating.md says, and nothing that could be a secret or a prompt."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from observability.access import access_line, stage_times
from observability.ids import new_id
from observability.lines import json_line
from observability.process_log import log_line
from policies.call import Call, Dialect, Operation
from policies.exchange import Client, Exchange, Stages
from policies.principal import DEFAULT_SCOPES, Principal
from policies.reasons import Reason
from policies.trace import Trace
from tests.observability.traces.exchanges import served


def test_a_refused_stranger_leaves_only_the_place_and_the_reason() -> None:
    exchange = Exchange("a" * 32, Client("10.0.0.1", 5, "lan"), method="POST")
    exchange.outcome.status, exchange.outcome.reason = 401, Reason.MISSING_CREDENTIAL
    line = access_line(exchange, at=1.23456)
    assert (line["at"], line["ip"], line["listener"], line["reason"]) == (
        1.235,
        "10.0.0.1",
        "lan",
        "missing_credential",
    )
    assert "key_id" not in line
    assert "engine" not in line


def test_every_field_stands_in_the_docs() -> None:
    exchange = served()
    exchange.trace = Trace("b" * 32, "c" * 16, "d" * 16, sampled=True)
    assert exchange.principal is not None
    exchange.principal = replace(exchange.principal, device="laptop")
    exchange.capture, exchange.outcome.reason, exchange.outcome.shadowed = "full", Reason.ENGINE_BROKE, ("trial",)
    text = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    page = text.partition("\n## The access line\n")[2].partition("\n## ")[0]
    line = access_line(exchange, at=0.0)
    times = line.pop("ms")
    assert isinstance(times, dict)
    assert {name for name in (*line, *times, "ms") if f"`{name}`" not in page} == set()


def test_a_served_call_says_who_what_and_how_much_but_not_the_words() -> None:
    exchange = Exchange("a" * 32, Client("10.0.0.1", 5, "lan"), route="/v1/chat/completions", model="m", engine="e")
    exchange.principal = Principal("ann", "k1", "n", "key", frozenset(), DEFAULT_SCOPES)
    exchange.call = Call(Operation.CHAT, Dialect.OPENAI, model="M", body={"messages": "SECRET"}, ignored=("foo",))
    exchange.requested = "M"
    exchange.outcome.usage.input = 3
    line = access_line(exchange, at=0.0)
    assert (line["key_id"], line["model"], line["requested_model"], line["engine"]) == ("k1", "m", "M", "e")
    assert (line["tokens_in"], line["ignored"]) == (3, 1)
    assert b"SECRET" not in orjson.dumps(line)


def test_only_stages_that_were_reached_have_a_time() -> None:
    assert stage_times(Stages(accepted=1.0, identified=1.002, done=1.01)) == {"identify": 2.0, "total": 10.0}


def test_ids_are_valid_trace_ids() -> None:
    assert new_id(lambda n: b"\xab" * n) == "ab" * 16
    assert set(new_id(bytes)) == {"0", "1"}


def test_the_process_log_keeps_the_place_of_an_exception_and_not_its_text(caplog: pytest.LogCaptureFixture) -> None:
    try:
        int("lgw_secret prompt")
    except ValueError:
        logging.getLogger("x").exception("request %s failed", "id\n")
    line = json_line(log_line(caplog.records[0]))
    document = orjson.loads(line)
    assert document["error"] == "ValueError"
    assert document["frames"][0].endswith("test_the_process_log_keeps_the_place_of_an_exception_and_not_its_text")
    assert "secret" not in line
    assert "\n" not in line
