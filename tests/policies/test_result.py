"""Only `allow: true` in a document without a single fault is a yes; the published schema says the same."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from policies.json import JSON, Object, as_object
from policies.result import Decision, DecisionError, UnmetObligation, Why, read_decision
from policies.schemas import schema
from tests.policies.asking import decision_document
from tests.policies.strategies import DECISIONS, JSONS

PARTS = st.fixed_dictionaries(
    {"allow": st.sampled_from([True, True, False, 1, "true", None])},
    optional={
        "reasons": st.lists(
            st.fixed_dictionaries(
                {"code": st.sampled_from(["no_grant", "No", "", 1])},
                optional={"message": JSONS, "public": st.booleans() | st.integers(0, 1)},
            )
        )
        | JSONS,
        "obligations": st.dictionaries(
            st.sampled_from(
                ["max_tokens", "model", "models", "priority", "audit", "headers", "timeout_s", "strip", "x"]
            ),
            st.sampled_from(
                [
                    1,
                    0,
                    -1,
                    True,
                    0.5,
                    86_401,
                    "tiny",
                    "no name",
                    "batch",
                    ["tiny"],
                    ["seed"],
                    [1],
                    {"x-a": "b"},
                    {"a": "b"},
                ]
            ),
            max_size=2,
        )
        | JSONS,
        "grants": st.lists(st.text(max_size=5)) | JSONS,
        "revision": JSONS,
    },
)


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema("result"))


def read(document: JSON) -> Decision | None:
    try:
        return read_decision(document)
    except DecisionError:
        return None


@given(JSONS)
def test_arbitrary_documents_allow_nothing(document: JSON) -> None:
    decision = read(document)
    assert decision is None or not decision.allow or (isinstance(document, dict) and document["allow"] is True)


@given(PARTS)
def test_the_reader_and_the_schema_agree(document: Object) -> None:
    """Where the schema says no, so does the reader, and the other way round."""
    assert validator().is_valid(document) == (read(document) is not None)


@given(PARTS)
def test_a_yes_is_one_in_every_part(document: Object) -> None:
    decision = read(document)
    if decision is not None and decision.allow:
        assert document["allow"] is True
        said, kept = as_object(document.get("obligations")), as_object(decision_document(decision)["obligations"])
        assert said.keys() >= kept.keys()


@given(DECISIONS)
def test_decisions_survive_being_written(decision: Decision) -> None:
    document = decision_document(decision)
    assert read_decision(json.loads(json.dumps(document))) == decision
    validator().validate(document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        True,
        "allow",
        [],
        {},
        {"allow": None},
        {"allow": 1},
        {"allow": "true"},
        {"allow": [True]},
        {"allow": True, "reasons": {}},
        {"allow": True, "reasons": [{"code": "No Word"}]},
        {"allow": True, "reasons": [{"message": "no code"}]},
        {"allow": True, "reasons": [{"code": "a", "public": 1}]},
        {"allow": True, "reasons": [{"code": "a"}] * 65},
        {"allow": True, "grants": "all"},
        {"allow": True, "grants": [None]},
        {"allow": True, "grants": ["g" * 501]},
        {"allow": True, "revision": None},
        {"allow": True, "revision": "r" * 501},
    ],
)
def test_what_is_no_decision(document: JSON) -> None:
    with pytest.raises(DecisionError) as raised:
        read_decision(document)
    assert not isinstance(raised.value, UnmetObligation)
    assert not validator().is_valid(document)


def test_a_yes_tied_to_the_unknown_is_told_apart() -> None:
    with pytest.raises(UnmetObligation):
        read_decision({"allow": True, "obligations": {"make_coffee": True}})


def test_obligations_of_a_no_bind_nobody() -> None:
    assert read_decision({"allow": False, "obligations": {"make_coffee": True}}) == Decision(allow=False)


def test_further_keys_are_for_others() -> None:
    assert read_decision({"allow": True, "for_envoy": {"headers": {}}}).allow


def test_long_messages_are_cut_and_reasons_sorted() -> None:
    reasons: list[JSON] = [{"code": "b", "message": "m" * 501}, {"code": "a"}]
    assert read_decision({"allow": False, "reasons": reasons}).reasons == (Why("a"), Why("b", "m" * 500))
