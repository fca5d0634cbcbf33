"""Records survive their way through a file, and masking takes out what it says and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.input import PolicyInput
from policies.json import JSON, Object, as_object
from policies.obligations import RECORDED
from policies.record import MASK, Record, mask, read_record
from tests.policies.strategies import DECISIONS, INPUTS, TEXT

RECORDS = st.builds(
    Record,
    id=TEXT,
    at=st.floats(0, 2e9),
    input=INPUTS.map(lambda asked: asked.document()),
    result=st.none() | DECISIONS.map(lambda _: {"allow": True}),
    allow=st.booleans(),
    reason=TEXT,
    detail=TEXT,
    revision=TEXT,
    engine=st.sampled_from(["embedded", "opa", "remote", "cache", "last-good", "credential"]),
    took_us=st.integers(0, 10**9),
    masked=st.lists(TEXT, max_size=3).map(tuple),
    redirect=st.integers(0, 1),
    audit=st.booleans(),
)
ONE: Object = {
    "id": "a", "at": 1.5, "allow": True, "reason": "", "engine": "opa", "revision": "r", "took_us": 5, "input": {},
    "result": None,
}  # fmt: skip


@given(RECORDS)
def test_records_survive_being_written(record: Record) -> None:
    assert read_record(json.loads(json.dumps(record.document()))) == record


@pytest.mark.parametrize(
    "changes",
    [{"at": "now"}, {"input": []}, {"took_us": -1}, {"took_us": True}, {"allow": 1}, {"allow": None}, {"result": []},
     {"masked": "x"}],
)  # fmt: skip
def test_what_is_no_record(changes: Object) -> None:
    assert read_record(ONE) is not None
    assert read_record({**ONE, **changes}) is None


@pytest.mark.parametrize("name", sorted(ONE.keys() - {"id", "reason", "engine", "revision", "result"}))
def test_torn_lines_are_no_records(name: str) -> None:
    assert read_record({key: value for key, value in ONE.items() if key != name}) is None


@given(INPUTS, st.frozensets(st.sampled_from(sorted(RECORDED))))
def test_masking_takes_out_what_it_says(asked: PolicyInput, fields: frozenset[str]) -> None:
    document = asked.document()
    before = json.dumps(document)
    copy, masked = mask(document, fields)
    # The credential's label stands in two places; the subject of a JWT in four.
    alike = {"key.name"} if "caller.name" in fields else set()
    if asked.principal.auth == "jwt" and "caller.id" in fields:
        alike = {"caller.id", "caller.name", "key.id", "key.name"}
    if "source.ip" in fields:
        alike |= {"source.container"}
    assert set(masked) == fields | alike
    for section, inner in document.items():
        if not isinstance(inner, dict):
            assert copy[section] == inner
            continue
        for leaf, value in inner.items():
            gone: JSON = [] if isinstance(value, list) else MASK
            if isinstance(value, dict):
                gone = dict.fromkeys(value, MASK)
            assert as_object(copy[section])[leaf] == (gone if f"{section}.{leaf}" in masked else value)
    assert json.dumps(document) == before


def test_masking_what_is_not_there_is_nothing() -> None:
    assert mask({"a": {"b": 1}}, ["a.c", "x.y", "a", "messages"]) == ({"a": {"b": 1}}, ())


def test_a_masked_record_says_so() -> None:
    record = read_record(ONE)
    assert record is not None
    assert replace(record, masked=("caller.id",)).document()["masked"] == ["caller.id"]
