"""The socket's reader: whatever the pieces, the same requests; whatever else, one refusal and nothing read beyond."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.embedded.wire import MAX_BODY, MAX_HEAD, Reader, Request, WireError

POST = b"POST /v1/x?a=b HTTP/1.1\r\nHost: opa\r\nContent-Length: 3\r\n\r\nabc"
GET = b"GET /health HTTP/1.1\r\nhost: opa\r\nConnection: close\r\n\r\n"
WANTED = [Request("POST", "/v1/x?a=b", b"abc", last=False), Request("GET", "/health", b"", last=True)]


def requests(*pieces: bytes) -> list[Request]:
    reader, found = Reader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next()) is not None:
            found.append(request)
    return found


def test_reads_whole_in_single_bytes_and_with_a_tail() -> None:
    both = POST + GET
    assert requests(both) == WANTED
    assert requests(*(bytes([byte]) for byte in both)) == WANTED
    assert requests(both + POST[:20], POST[20:]) == [*WANTED, WANTED[0]]


@given(cuts=st.lists(st.integers(0, len(POST + GET)), max_size=6))
def test_pieces_do_not_matter(cuts: list[int]) -> None:
    both, edges = POST + GET, [0, *sorted(cuts), len(POST + GET)]
    assert requests(*(both[start:end] for start, end in pairwise(edges))) == WANTED


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x HTTP/1.0\r\nHost: a",
        b"GET  /x HTTP/1.1\r\nHost: a",
        b"get /x HTTP/1.1\r\nHost: a",
        b"GET http://a/x HTTP/1.1\r\nHost: a",
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a",
        b"GET /x HTTP/1.1",
        b"GET /x HTTP/1.1\nHost: a",
        b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a",
        b"GET /x HTTP/1.1\r\nHost : a",
        b"GET /x HTTP/1.1\r\nHost: a\r\n folded: b",
        b"GET /x HTTP/1.1\r\nHost: a\r\nA: \x00",
        b"GET /x HTTP/1.1\r\nHost: a\r\nA: b\nContent-Length: 3",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +3",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:",
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1",
        b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1",
        b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c",
    ],
)
def test_refuses_what_could_be_read_in_two_ways(head: bytes) -> None:
    with pytest.raises(WireError) as refused:
        requests(head + b"\r\n\r\n")
    assert refused.value.status == 400


def test_heads_and_bodies_are_bounded() -> None:
    with pytest.raises(WireError) as refused:
        requests(b"GET /x HTTP/1.1\r\nA: " + b"b" * MAX_HEAD)
    assert refused.value.status == 431
    with pytest.raises(WireError) as refused:
        requests(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1))
    assert refused.value.status == 413
    with pytest.raises(WireError) as refused:
        Reader().feed(b"x" * (MAX_HEAD + MAX_BODY + 1))
    assert refused.value.status == 413
    assert len(requests(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MAX_BODY, b"x" * MAX_BODY)) == 1


@given(data=st.binary(max_size=300))
def test_any_bytes_are_requests_or_one_refusal(data: bytes) -> None:
    try:
        requests(data, data)
    except WireError as error:
        assert error.status in {400, 413, 431}  # noqa: PT017 - either is right
