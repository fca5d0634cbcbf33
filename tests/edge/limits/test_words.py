"""What callers are told of their limits."""

from __future__ import annotations

import pytest

from edge.limits.contract import DAY, MINUTE, Bound, Full, Level, Meter, Over, Seats
from edge.limits.words import document, headers, refusal, seats_refusal, span
from policies.reasons import Reason

REQUESTS = Level(Bound("key:k", Meter.REQUESTS, MINUTE, 60, name="key laptop"), 20, 12_200)
TOKENS = Level(Bound("key:k", Meter.TOKENS, DAY, 1000, name="key laptop"), 900, 4_000_000)
OUTPUT = Level(Bound("rule:r key:k", Meter.OUTPUT, DAY, 500, name="r"), 450, 90_000)
SHADOW = Level(Bound("rule:s key:k", Meter.TOKENS, DAY, 1, shadow=True, name="s"), 9, 1_000)
GPU = Level(Bound("rule:g key:k", Meter.GPU_MS, DAY, 60_000, name="g"), 1500, 1_000)


def test_headers_tell_of_the_tightest_limit_of_each_kind() -> None:
    assert headers([REQUESTS, TOKENS, SHADOW, OUTPUT, GPU]) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "40",
        "x-ratelimit-reset-requests": "13s",
        "x-ratelimit-limit-tokens": "500",
        "x-ratelimit-remaining-tokens": "50",
        "x-ratelimit-reset-tokens": "1m30s",
    }
    assert headers([SHADOW, GPU]) == {}


def test_a_refusal_says_which_limit_and_when_to_come_back() -> None:
    error = refusal(Over(TOKENS.bound, TOKENS, 3700.0))
    assert error.reason is Reason.LIMIT_EXCEEDED
    assert error.text == ("A limit is used up. 1,000 tokens per day is the limit of key laptop; try again in 1h1m.")
    assert error.retry_after == 3700.0
    assert error.headers["x-ratelimit-remaining-tokens"] == "100"


def test_a_refusal_for_ever_says_so() -> None:
    off = Bound("key:k", Meter.REQUESTS, DAY, 0, name="key laptop")
    assert "is suspended" in refusal(Over(off, Level(off, 0, 0), None)).text
    assert "needs more than 1,000 tokens per day" in refusal(Over(TOKENS.bound, TOKENS, None)).text
    assert "is suspended" in seats_refusal(Full(Seats("key:k", 0, name="x"), 0, None)).text
    assert "At most 2 at once, for x." in seats_refusal(Full(Seats("key:k", 2, name="x"), 2, 1.0)).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.2, "1s"), (59.5, "1m0s"), (360, "6m0s"), (9000, "2h30m"), (7201, "2h0m"), (1_051_200, "12d4h")],
)
def test_spans_are_short_and_rounded_up(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_document_is_in_units_of_people() -> None:
    (gpu,) = document([GPU])
    assert gpu == {
        "name": "g",
        "of": "gpu_seconds",
        "per": "day",
        "limit": 60,
        "used": 1,
        "remaining": 58,
        "reset_seconds": 1,
        "shadow": False,
    }
