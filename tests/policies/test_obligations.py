"""The vocabulary of obligations is closed, and every one of them is read strictly or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.json import JSON
from policies.obligations import (
    NAMES,
    NOTHING,
    ObligationError,
    Obligations,
    Priority,
    merged,
    obligations_document,
    read_obligations,
)
from tests.policies.strategies import JSONS, OBLIGATIONS


@given(OBLIGATIONS)
def test_they_survive_being_written(obligations: Obligations) -> None:
    assert read_obligations(json.loads(json.dumps(obligations_document(obligations)))) == obligations


@given(st.dictionaries(st.sampled_from(sorted(NAMES)) | st.text(max_size=5), JSONS, max_size=3) | JSONS)
def test_whatever_is_read_is_well_formed_or_refused(document: JSON) -> None:
    try:
        found = read_obligations(document)
    except ObligationError:
        return
    assert isinstance(document, dict)
    assert document.keys() <= NAMES
    assert read_obligations(obligations_document(found)) == found


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("value", [None, [], {}, "", "  ", -1, 0, 1.5, [None], {"a": None}, "\0", "a" * 5000])
def test_wrong_values_are_refused_or_harmless(name: str, value: JSON) -> None:
    harmless = {
        ("models", "[]"), ("tools_allowed", "[]"), ("strip", "[]"), ("redact", "[]"), ("headers", "{}"),
        ("timeout_s", "1.5"),
    }  # fmt: skip
    if (name, json.dumps(value)) in harmless:
        read_obligations({name: value})
    else:
        with pytest.raises(ObligationError, match=name):
            read_obligations({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", True),
        ("max_tokens", 1.0),
        ("max_tokens", "5"),
        ("max_tokens", 2**31 + 1),
        ("model", "a b"),
        ("model", "../m"),
        ("model", 'x"], "allow": true'),
        ("models", ["ok", "not ok"]),
        ("models", ["m"] * 1025),
        ("rate_class", "Gold"),
        ("rate_class", "a\n"),
        ("priority", "urgent"),
        ("priority", "Batch"),
        ("tools_allowed", ["f g"]),
        ("strip", ["messages"]),
        ("strip", ["model"]),
        ("capture", "all"),
        ("capture", True),
        ("redact", ["id"]),
        ("timeout_s", 86_401),
        ("timeout_s", True),
        ("headers", {"X-Upper": "v"}),
        ("headers", {"x-request-id": "v"}),
        ("headers", {"x-ratelimit-remaining": "v"}),
        ("headers", {"set-cookie": "v"}),
        ("headers", {"x-a": "a\r\nb: c"}),
        ("headers", {"x-a": "ä"}),
        ("headers", {"x-a": " a"}),
        ("headers", {f"x-{i}": "v" for i in range(17)}),
        ("audit", "true"),
        ("audit", 1),
    ],
)
def test_what_nobody_can_act_on_is_refused(name: str, value: JSON) -> None:
    with pytest.raises(ObligationError, match=name):
        read_obligations({name: value})


@pytest.mark.parametrize("name", ["max_token", "MODEL", "", "obligations", "x\nforged"])
def test_unknown_names_are_refused_and_not_repeated_raw(name: str) -> None:
    with pytest.raises(ObligationError) as raised:
        read_obligations({name: 1})
    assert "\n" not in str(raised.value)


def test_names_of_models_become_canonical() -> None:
    found = read_obligations({"model": "ai/Tiny:latest", "models": ["hf.co/A/B", "ai/tiny"]})
    assert (found.model, found.models) == ("tiny", frozenset({"huggingface.co/a/b", "tiny"}))


@given(OBLIGATIONS)
def test_joined_with_nothing_they_stay(one: Obligations) -> None:
    assert merged(NOTHING, one) == one


@given(OBLIGATIONS, OBLIGATIONS)
def test_joined_they_are_no_looser_than_either(first: Obligations, then: Obligations) -> None:
    both = merged(first, then)
    bands = list(Priority)
    for one in (first, then):
        assert both.strip >= one.strip
        assert both.redact >= one.redact
        assert both.audit >= one.audit
        if one.max_tokens is not None:
            assert both.max_tokens is not None
            assert both.max_tokens <= one.max_tokens
        if one.timeout_s is not None:
            assert both.timeout_s is not None
            assert both.timeout_s <= one.timeout_s
        if one.models is not None:
            assert both.models is not None
            assert both.models <= one.models
        if one.tools_allowed is not None:
            assert both.tools_allowed is not None
            assert both.tools_allowed <= one.tools_allowed
        if one.priority is not None:
            assert both.priority is not None
            assert bands.index(both.priority) >= bands.index(one.priority)
