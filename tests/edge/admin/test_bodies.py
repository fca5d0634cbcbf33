"""Bodies, packed or not: what they say, and what is too much."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.admin.bodies import BodyLimits, inflate, parse
from policies.errors import Refusal
from policies.reasons import Reason

LIMITS = BodyLimits(received=10_000, inflated=100_000, nodes=1_000, depth=8)
MIB = 1024 * 1024
PACKED = gzip.compress(b"[]", mtime=0)  # the clock would be part of the tests' names


def refused(body: bytes, most: int = 100_000) -> Reason:
    with pytest.raises(Refusal) as caught:
        inflate(body, most)
    return caught.value.reason


@given(st.binary(max_size=3_000), st.integers(0, 4_000))
def test_inflating_gives_back_what_was_packed_or_refuses(content: bytes, most: int) -> None:
    packed = gzip.compress(content)
    if len(content) <= most:
        assert inflate(packed, most) == content
    else:
        assert refused(packed, most) is Reason.BODY_TOO_LARGE


@given(st.binary(max_size=200))
def test_any_bytes_inflate_or_raise_the_one_error(body: bytes) -> None:
    try:
        inflate(body, 1_000)
    except Refusal as refusal:
        assert refusal.reason in {Reason.INVALID_JSON, Reason.BODY_TOO_LARGE}  # noqa: PT017 - either is fine


def test_a_bomb_is_stopped_at_the_first_byte_too_many() -> None:
    bomb = gzip.compress(bytes(64 * MIB), 9)
    assert len(bomb) < MIB
    tracemalloc.start()
    assert refused(bomb, MIB) is Reason.BODY_TOO_LARGE
    assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        PACKED[:-1],
        PACKED[:-8] + b"\0" * 8,
        PACKED + PACKED,
        PACKED + b"x",
        zlib.compress(b"[]"),
    ],
)
def test_what_is_not_one_whole_gzip_member_is_refused(body: bytes) -> None:
    assert refused(body) is Reason.INVALID_JSON


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"[1", Reason.INVALID_JSON),
        (b"[NaN]", Reason.INVALID_JSON),
        (b"\xff", Reason.INVALID_JSON),
        (b'["\\ud800"]', Reason.INVALID_JSON),
        (b"[" * 9 + b"]" * 9, Reason.DOCUMENT_TOO_COMPLEX),
        (b"[" + b",".join([b"{}"] * 1_000) + b"]", Reason.DOCUMENT_TOO_COMPLEX),
        (b"[" * 100_000, Reason.DOCUMENT_TOO_COMPLEX),
    ],
)
def test_what_is_no_json_or_too_much_of_it_is_refused(body: bytes, reason: Reason) -> None:
    with pytest.raises(Refusal) as caught:
        parse(body, LIMITS)
    assert caught.value.reason is reason


def test_repeated_keys_and_long_numbers_are_taken() -> None:
    assert parse(b'[{"a":1,"a":18446744073709551616}]', LIMITS) == [{"a": 18446744073709551616.0}]
