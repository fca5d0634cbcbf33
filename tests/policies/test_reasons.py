"""The vocabulary is closed and complete."""

from __future__ import annotations

import re

import pytest

from policies.errors import EngineBroke, GatewayError, Refusal
from policies.reasons import CAUSES, Reason

CONTRACT = {400, 401, 403, 404, 408, 409, 413, 415, 421, 429, 499, 500, 502, 503, 504}


def test_every_reason_has_a_cause_with_a_status_of_the_contract() -> None:
    assert set(CAUSES) == set(Reason)
    assert {cause.status for cause in CAUSES.values()} <= CONTRACT


def test_codes_are_stable_words() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", reason.value) for reason in Reason)


def test_only_server_side_causes_and_limits_ask_for_another_try() -> None:
    assert all(cause.status >= 429 for cause in CAUSES.values() if cause.retry)


def test_the_base_error_is_never_raised() -> None:
    with pytest.raises(TypeError):
        GatewayError(Reason.INTERNAL)


def test_the_detail_stays_out_of_the_text() -> None:
    assert "secret" not in EngineBroke("secret path").text
    assert Refusal(Reason.INVALID_PARAMETER, hint="Use 1 to 16.").text.endswith("Use 1 to 16.")
