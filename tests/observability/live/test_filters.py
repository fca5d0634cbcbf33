"""A filter shows exactly what it says, and is refused where it could mean something else."""

from __future__ import annotations

import time

import pytest

from observability.access import access_line
from observability.live.filters import NAMES, BadFilterError, describe, read_filter
from policies.exchange import Exchange
from policies.reasons import Reason
from policies.record import MASK
from tests.observability.live.exchanges import arrived, ended


def wants(exchange: Exchange, **given: str) -> bool:
    return read_filter(given.items()).wants(access_line(exchange, at=0.0))


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("caller", "ann", True),
        ("caller", "key-ann", True),
        ("caller", "an", False),
        ("model", "tiny", True),
        ("model", "Tiny:latest", True),
        ("model", "t*y", True),
        ("model", "t?y", False),
        ("engine", "dmr", True),
        ("engine", "dm", False),
        ("status", "503", True),
        ("status", "5xx", True),
        ("status", "4xx", False),
        ("status", "500", False),
        ("reason", "queue_full", True),
        ("reason", "any", True),
        ("reason", "queue_timeout", False),
        ("slower", "2", True),
        ("slower", "2.001", False),
    ],
)
def test_each_filter_takes_what_it_names_and_nothing_else(name: str, value: str, wanted: bool) -> None:
    assert wants(ended(reason=Reason.QUEUE_FULL), **{name: value}) is wanted


def test_all_that_are_given_must_hold_and_none_takes_everything() -> None:
    assert wants(ended())
    assert wants(ended(), caller="ann", model="tiny", status="2xx", slower="1")
    assert not wants(ended(), caller="ann", model="tiny", status="4xx")
    assert not wants(ended(), reason="any")


def test_a_refused_request_is_found_by_the_model_it_asked_for() -> None:
    refused = ended(reason=Reason.MODEL_NOT_PERMITTED)
    refused.model, refused.engine = "", ""
    assert wants(refused, model="tiny")
    assert not wants(arrived(), model="*")


def test_what_is_redacted_cannot_be_found_out_by_filtering() -> None:
    exchange = ended()
    exchange.redact = frozenset({"caller.id", "model.requested"})
    exchange.model = ""
    for given in ({"caller": "ann"}, {"caller": MASK}, {"model": "tiny"}, {"model": "*"}):
        assert not wants(exchange, **given)


@pytest.mark.parametrize(
    "pairs",
    [
        [("callr", "ann")],
        [("caller", "anna"), ("caller", "berta")],
        [("caller", "")],
        [("caller", "a" * 257)],
        [("caller", "a\x1b[2J")],
        [("model", "*a*a*")],
        [("status", "6xx")],
        [("status", "20")],
        [("status", "2x0")],
        [("reason", "no_such_reason")],
        [("slower", "-1")],
        [("slower", "nan")],
        [("slower", "1e9")],
        [("slower", "٣")],
    ],
)
def test_what_is_no_filter_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(BadFilterError) as caught:
        read_filter(pairs)
    assert caught.value.name in {"", *NAMES}
    assert pairs[0][1] not in str(caught.value) or not pairs[0][1]


def test_the_worst_glob_costs_little() -> None:
    wanted = read_filter([("model", "*" + "a" * 120 + "*b")])
    line = access_line(ended(), at=0.0)
    line["model"] = line["requested_model"] = "a" * 256
    begun = time.perf_counter()
    assert not wanted.wants(line)
    assert time.perf_counter() - begun < 1.0


def test_people_read_what_they_asked_for() -> None:
    assert describe(read_filter([])) == ""
    assert describe(read_filter([("status", "4xx"), ("slower", "2.5")])) == "status 4xx, slower than 2.5 s"
