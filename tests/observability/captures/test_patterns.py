"""Secrets are taken out, and no pattern, however it is written, takes long to be sought."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.captures.patterns import BUILT_IN, EMAIL, PatternError, Redactor, TooSlowError, cost

CLOCK = lambda: 0.0  # noqa: E731


def redacted(text: str, *patterns: str, emails: bool = True) -> str:
    redact = Redactor(patterns, CLOCK, emails=emails)
    redact.begin()
    return redact(text)


@pytest.mark.parametrize(
    "secret",
    [
        "lgw_0123456789_" + "a" * 49,
        "sk-proj-" + "Ab1" * 20,
        "sk-ant-api03-" + "x" * 80,
        "ghp_" + "a1" * 18,
        "github_pat_" + "a1_" * 20,
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "x" * 35,
        "xoxb-1234567890-abcdef",
        "hf_" + "a" * 34,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLWhlcmU",
        "Bearer abcdef123456",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabcd==\n-----END",
        r'{"private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nabcd==\n-----END',
        "password=hunter2hunter2",
        r"{\"password\": \"hunter2hunter2\"}",
        '"api_key": "0123456789abcdef"',
        "postgres://me:s3cr3tpw@db/x",
        "ann.smith+x@mail.example.org",
    ],
)
def test_keys_and_tokens_of_known_shapes_go(secret: str) -> None:
    core = max(re.split(r"[\s\"=:]+", secret), key=len)
    text = redacted(f"before {secret} behind")
    assert core not in text
    assert "[redacted]" in text
    assert text.startswith("before ")


def test_what_is_no_secret_stays() -> None:
    text = "The task-force sketched a plan; e.g. 3 @ 5, see https://example.org/a?b=c and max_tokens: 512."
    assert redacted(text) == text


def test_addresses_of_mail_may_stay() -> None:
    assert redacted("ann@mail.example", emails=False) == "ann@mail.example"


def test_an_operators_own() -> None:
    assert redacted("customer KD-123456 of KD-12", r"KD-[0-9]{6,10}") == "customer [redacted] of KD-12"
    assert redacted("Projekt Falke, projekt FALKE", r"(?i:projekt falke)") == "[redacted], [redacted]"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a+", "must say how often"),
        ("(a{1,9}){1,9}", "too many ways"),
        ("a{1,600}", "too many ways"),
        ("^a", "leave out ^ and $"),
        ("(?=a)", "cannot be used"),
        (r"(a)\1", "cannot be used"),
        ("(a", "cannot be used"),
        ("a)", "cannot be used"),
        ("[b-a]", "no regular expression"),
        ("", "fits nothing at all"),
        (r"\b", "fits nothing at all"),
        ("a{0,3}", "fits nothing at all"),
        ("a{3,1}", "must say how often"),
    ],
)
def test_a_pattern_whose_work_has_no_bound_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(PatternError, match=re.escape(said)):
        cost(pattern)


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "[ab]",
        ".",
        r"\w",
        "(?:a|ab)",
        "(?:a{1,3}b?)",
        "a{1,4}",
        "[ab]{0,9}",
        "b{2}",
        "a?",
        "(?:a{1,8}b|a{1,8}){1,2}",
    ]
)


@settings(max_examples=60)
@given(st.lists(PIECES, min_size=1, max_size=5).map("".join), st.text("abc", max_size=300))
def test_windows_find_what_python_finds(pattern: str, text: str) -> None:
    try:
        cost(pattern)
    except PatternError:
        return
    redact = Redactor([pattern], CLOCK, emails=False)
    redact.begin()
    assert redact(text) == re.sub(pattern, "[redacted]", text)


@pytest.mark.parametrize("piece", ["a", "eyJ", "a@", "a.", "://", "bearer ", "PRIVATE KEY-----", "sk-", "[redacted"])
def test_the_worst_text_for_the_built_in_patterns_is_done_within_the_patience(piece: str) -> None:
    redact = Redactor([], time.thread_time)
    redact.begin()
    _ = redact(piece * (131_072 // len(piece)))


def test_text_that_takes_too_long_is_given_up() -> None:
    now = iter(range(10_000))
    redact = Redactor([], lambda: float(next(now)))
    redact.begin()
    with pytest.raises(TooSlowError):
        redact("a" * 100_000)


def test_the_built_in_patterns_keep_to_the_rule() -> None:
    assert all(cost(pattern).shortest > 3 for pattern in (*BUILT_IN, EMAIL))
