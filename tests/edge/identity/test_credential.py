"""One credential out of the headers, whatever they spell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity.credential import credential
from policies.errors import Refusal
from policies.reasons import Reason


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer K"},
        {"authorization": "bearer K"},
        {"authorization": "BEARER   K "},
        {"x-api-key": "K"},
        {"x-api-key": " K\t"},
        {"authorization": "Bearer K", "x-api-key": "K"},
        {"authorization": "Bearer K", "x-api-key": ""},
        {"authorization": "Bearer ", "x-api-key": "K"},
        {"authorization": "Bearer", "x-api-key": "K"},
    ],
)
def test_every_spelling_and_the_same_twice(headers: dict[str, str]) -> None:
    assert credential(headers) == "K"


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Bearer  "}, {"x-api-key": " "}, {"cookie": "key=K"}]
)
def test_none_is_missing(headers: dict[str, str]) -> None:
    assert reason(headers) is Reason.MISSING_CREDENTIAL


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer A", "x-api-key": "B"},
        {"authorization": "Basic K", "x-api-key": "K"},
        {"authorization": "Basic K"},
        {"authorization": "K"},
        {"authorization": "BearerK"},
        {"authorization": "Bearer\tK"},
        {"authorization": "Bearer K, Bearer K"},
        {"authorization": "Bearer K L"},
        {"authorization": "Bearer K\x01"},
        {"authorization": "Bearer K\n"},
        {"x-api-key": "ké"},
        {"x-api-key": "\ud800"},
        {"x-api-key": "K" * 8193},
    ],
)
def test_two_different_or_impossible_ones_are_invalid(headers: dict[str, str]) -> None:
    assert reason(headers) is Reason.INVALID_CREDENTIAL


def reason(headers: dict[str, str]) -> Reason:
    with pytest.raises(Refusal) as caught:
        credential(headers)
    assert caught.value.hint is None
    return caught.value.reason


@given(st.dictionaries(st.sampled_from(["authorization", "x-api-key"]), st.text(max_size=30)))
def test_any_headers_give_visible_ascii_or_a_refusal(headers: dict[str, str]) -> None:
    try:
        found = credential(headers)
    except Refusal:
        return
    assert found.isascii()
    assert found.isprintable()
    assert any(found in value for value in headers.values())
