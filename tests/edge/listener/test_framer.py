"""The framer alone: bytes whole, one by one, and with a tail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from edge.listener.framer import Arrival, Framer
from edge.listener.hosts import HostPolicy
from edge.listener.limits import ListenerLimits
from policies.errors import Refusal
from policies.reasons import Reason
from tests.edge.listener.harness import GET, post

STEPS = [1, 2, 7, 10_000]


def framer(limits: ListenerLimits | None = None) -> Framer:
    limits = limits or ListenerLimits()
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    parser = HttpRequestParser(
        protocol,
        loop,
        1 << 24,
        max_line_size=limits.request_line_bytes,
        max_field_size=limits.header_bytes,
        max_headers=limits.header_count,
        auto_decompress=False,
        max_msg_queue_size=32,
    )
    protocol._parser = parser
    return Framer(parser, HostPolicy(), limits)


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def read(framer: Framer, data: bytes, step: int) -> tuple[Arrival, int]:
    """Feed a request in pieces; the arrival, and how many bytes were behind its body."""
    arrival, surplus = None, 0
    for piece in pieces(data, step):
        if arrival is None:
            arrival = framer.head(piece)
            surplus += framer.body(arrival.rest) if arrival is not None and arrival.rest else 0
        else:
            surplus += framer.body(piece)
    assert arrival is not None
    return arrival, surplus


@pytest.mark.parametrize("step", STEPS)
async def test_requests_follow_each_other_on_one_framer(step: int) -> None:
    one = framer()
    for _ in range(40):  # more than aiohttp's parser queues
        arrival, surplus = read(one, post(b"hello"), step)
        assert (arrival.head.method, arrival.head.length, surplus) == ("POST", 5, 0)
        assert one.received
        assert await arrival.payload.read() == b"hello"
        one.again()
        assert one.path == ""


@pytest.mark.parametrize("step", STEPS)
async def test_a_chunked_body(step: int) -> None:
    one = framer()
    for _ in range(3):
        data = (
            post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            + b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
        )
        arrival, surplus = read(one, data, step)
        assert one.received
        assert surplus == 0
        assert await arrival.payload.read() == b"hello!"
        one.again()


@pytest.mark.parametrize("step", STEPS)
async def test_bytes_behind_a_body_are_counted_not_parsed(step: int) -> None:
    one = framer()
    arrival, surplus = read(one, post(b"hello") + GET, step)
    assert surplus == len(GET)
    assert await arrival.payload.read() == b"hello"


@pytest.mark.parametrize("step", [1, 10_000])
@pytest.mark.parametrize("tail", [b"0\r\nA: 0\r\n\r\n", b"0\r\n\r\n" + GET, b"zz\r\n"])
async def test_a_chunked_body_with_trailers_or_a_tail_or_broken_is_spoiled(tail: bytes, step: int) -> None:
    one = framer()
    data = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n" + tail
    arrival, _ = read(one, data, step)
    if one.spoiled:
        assert one.received
        with pytest.raises(Refusal):
            await arrival.payload.read()
    else:
        assert step == 1  # the end came alone, and the tail as surplus later
        assert await arrival.payload.read() == b"hello"


async def test_tiny_chunks_are_too_much_framing() -> None:
    one = framer(ListenerLimits(chunk_overhead_bytes=1000))
    data = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"1\r\na\r\n" * 500
    arrival, _ = read(one, data, 100)
    with pytest.raises(Refusal) as refusal:
        await arrival.payload.read()
    assert refusal.value.reason is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("step", STEPS)
async def test_one_empty_line_may_come_first(step: int) -> None:
    data = b"\r\n" + GET
    if step == 1:
        with pytest.raises(Refusal):  # split inside the CRLF: nobody does that
            read(framer(), data, step)
    else:
        assert read(framer(), data, step)[0].head.path == "/v1/models"


@pytest.mark.parametrize("step", STEPS)
async def test_a_head_is_refused_at_the_limit_not_at_its_end(step: int) -> None:
    limits = ListenerLimits(request_line_bytes=100, headers_bytes=200)
    one, fed = framer(limits), 0
    reason: Reason | None = None
    for piece in pieces(GET[:-2] + b"X: aaaaaaaaaaaaaa\r\n" * 1000, step):
        fed += len(piece)
        try:
            one.head(piece)
        except Refusal as refusal:
            reason = refusal.reason
            break
    assert reason is Reason.HEADERS_TOO_LARGE
    assert fed <= 300 + step


@pytest.mark.parametrize("bad", [b"GET  / HTTP/1.1\r\n", b"GET / ICE/1.0\r\n", b"GET / RTSP/1.0\r\n"])
async def test_the_request_line_is_compared_byte_for_byte(bad: bytes) -> None:
    with pytest.raises(Refusal):
        framer().head(bad + b"Host: localhost\r\n\r\n")


async def test_an_h2c_upgrade_is_ignored_and_the_next_request_read() -> None:
    one = framer()
    data = post(b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAM")
    assert await read(one, data, 10_000)[0].payload.read() == b"hello"
    assert not one.spoiled
    one.again()
    assert read(one, GET, 10_000)[0].head.method == "GET"


async def test_a_websocket_upgrade_is_ignored_but_ends_the_connection() -> None:
    one = framer()
    arrival, _ = read(one, GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 10_000)
    assert arrival.head.path == "/v1/models"
    assert one.spoiled
