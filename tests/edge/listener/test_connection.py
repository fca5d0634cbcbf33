"""Slow callers, pipelining callers, callers that leave, too many callers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from edge.listener.inbound import Headers
from edge.listener.limits import KIB, ListenerLimits
from edge.listener.request import AiohttpInbound
from policies.errors import Refusal
from policies.exchange import Client
from tests.edge.listener.harness import GET, Door, listening, post, until

QUICK = ListenerLimits(header_s=1.0, keepalive_s=1.0, discard_s=0.1)


async def drip(door: Door, first: bytes, data: bytes) -> bytes:
    """Send `first`, then `data` byte by byte, one each few milliseconds, until the listener has had enough."""
    caller = await door.call()
    await caller.send(first)
    if first:
        assert (await caller.answer()).status == 200
    ending = asyncio.ensure_future(caller.rest())
    for byte in data:
        caller.writer.write(bytes([byte]))
        await asyncio.wait([ending], timeout=0.02)
        if ending.done():
            break
    return await ending


# -- slowloris, phase by phase


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with listening(limits=QUICK) as door:
        assert await drip(door, b"", b"") == b""


@pytest.mark.parametrize("first", [b"", GET, post(b"hello")])
async def test_a_head_that_never_ends_is_closed_on_new_and_reused_connections(first: bytes) -> None:
    async with listening(limits=QUICK) as door:
        assert await drip(door, first, GET[:-2] + b"X-Long: " + b"a" * 1000) == b""
        assert len(door.seen) == bool(first)


async def test_an_idle_connection_is_closed() -> None:
    async with listening(limits=QUICK) as door:
        assert await drip(door, GET, b"") == b""


async def test_a_stream_of_empty_lines_is_not_life() -> None:
    async with listening(limits=QUICK) as door:
        got = await drip(door, GET, b"\r\n" * 200)
        assert got == b"" or got.startswith(b"HTTP/1.1 400")


async def test_a_request_being_served_knows_none_of_these_deadlines() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await asyncio.sleep(1.5)
        await inbound.answer(200, {}, b"")

    async with listening(handler, limits=QUICK) as door:
        assert (await door.ask(GET)).status == 200


# -- pipelining and reuse


async def test_a_connection_is_reused() -> None:
    async with listening() as door:
        caller = await door.call()
        for _ in range(50):
            await caller.send(post(b"hello"))
            assert "connection" not in (await caller.answer()).headers
            await caller.send(GET)
            assert (await caller.answer()).body == b'{"ok":true}'
        assert len(door.seen) == 100


@pytest.mark.parametrize("first", [GET, post(b"hello")])
async def test_a_pipelined_request_is_never_read_and_ends_the_connection(first: bytes) -> None:
    async with listening() as door:
        caller = await door.call()
        await caller.send(first + GET + GET)
        got = await caller.rest()
        assert got.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in got
        assert len(door.seen) == 1


async def test_the_next_request_may_come_while_the_last_one_settles() -> None:
    settled: list[int] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, b"")
        await asyncio.sleep(0.05)
        settled.append(1)

    async with listening(handler) as door:
        caller = await door.call()
        for n in range(4):
            await caller.send(GET)
            assert (await caller.answer()).status == 200
            assert len(settled) == n
        await until(lambda: len(settled) == 4)


async def test_the_last_allowed_request_says_close() -> None:
    async with listening(limits=ListenerLimits(requests_per_connection=3)) as door:
        caller = await door.call()
        for n in range(3):
            await caller.send(GET)
            assert ((await caller.answer()).headers.get("connection") == "close") is (n == 2)
        assert await caller.rest() == b""


@pytest.mark.parametrize(
    "data", [GET.replace(b"1.1", b"1.0"), GET.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n")]
)
async def test_http_1_0_and_connection_close_end_the_connection(data: bytes) -> None:
    async with listening() as door:
        caller = await door.call()
        await caller.send(data)
        assert (await caller.rest()).endswith(b"connection: close\r\n\r\n" + b'{"ok":true}')


async def test_a_websocket_upgrade_gets_a_plain_answer_and_the_end() -> None:
    async with listening() as door:
        caller = await door.call()
        await caller.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n")
        assert (await caller.rest()).startswith(b"HTTP/1.1 200")


# -- leaving


@pytest.mark.parametrize("junk", [b"", GET * 2000, b"a" * 100_000], ids=["nothing", "pipelined requests", "junk"])
@pytest.mark.parametrize("half", [False, True], ids=["reset", "half-closed"])
async def test_a_caller_that_leaves_cancels_its_waiting_request(junk: bytes, half: bool) -> None:
    cancelled: list[bool] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.body(100)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(inbound.cut)
            raise

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"hello") + junk)
        await until(lambda: door.listener.active)
        start = asyncio.get_running_loop().time()
        if half:
            caller.writer.write_eof()
        else:
            await caller.close()
        await until(lambda: cancelled)
        assert asyncio.get_running_loop().time() - start < 1
        assert cancelled == [False]


async def test_too_much_junk_behind_a_request_cuts_it() -> None:
    cancelled: list[bool] = []

    async def handler(inbound: AiohttpInbound) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with listening(handler) as door:
        caller = await door.call()
        caller.writer.write(GET + b"a" * 600 * KIB)
        assert await caller.rest() == b""
        await until(lambda: cancelled)


async def test_a_caller_that_leaves_during_its_body_cancels_the_request() -> None:
    async with listening() as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 5"))
        await until(lambda: door.listener.active)
        await caller.close()
        await until(lambda: not door.listener.active)
        assert door.seen == []


async def test_a_caller_that_leaves_with_its_answer_does_not_disturb_the_settling() -> None:
    settled: list[bool] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await inbound.write(b"done")
        await inbound.end()
        await until(lambda: not door.listener.census.total)
        settled.append(True)

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        assert (await caller.answer()).body == b"done"
        await caller.close()
        await until(lambda: settled)


# -- failing


@pytest.mark.parametrize(
    "error", [ValueError("lgw_secret"), ConnectionError("lgw_secret"), TimeoutError(), KeyError("a")]
)
async def test_what_escapes_the_handler_is_a_constant_500(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        raise error

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        got = await caller.rest()
        assert got.startswith(b"HTTP/1.1 500 ")
        assert got.endswith(b"connection: close\r\n\r\ninternal")
        assert door.refused == [("internal", "/v1/models")]
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert type(error).__name__ in record.getMessage()
    assert "test_connection.py:" in record.getMessage()
    assert "lgw_secret" not in caplog.text
    assert record.exc_info is None


async def test_an_error_in_a_stream_cuts_it(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await inbound.write(b"hello")
        raise ValueError

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        got = await caller.rest()
        assert b"0\r\n\r\n" not in got
        assert got.count(b"HTTP/1.1") == 1
    assert "ValueError" in caplog.text


@pytest.mark.parametrize("begun", [False, True])
async def test_a_handler_that_forgets_to_answer_is_an_error(begun: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        if begun:
            await inbound.begin(200, {})

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        got = await caller.rest()
        assert b"0\r\n\r\n" not in got
        assert begun or got.startswith(b"HTTP/1.1 500 ")
    assert "without a complete answer" in caplog.text


async def test_a_broken_renderer_still_refuses(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_refusal: Refusal, _client: Client, _path: str) -> tuple[int, Headers, bytes]:
        return 400, {"a": "b\r\nc"}, b""

    async with listening() as door:
        door.listener._floor.rejected = broken
        caller = await door.call()
        await caller.send(b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n")
        assert (await caller.rest()).startswith(b"HTTP/1.1 421 ")
    assert "rendering a refusal failed: ValueError" in caplog.text


# -- how many


async def test_a_source_may_hold_so_many_connections(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(limits=ListenerLimits(connections_per_source=3)) as door:
        callers = [await door.call() for _ in range(3)]
        await until(lambda: door.listener.census.total == 3)
        for _ in range(5):
            assert await (await door.call()).rest() == b""
        assert door.listener.census.refused == 5
        assert [record.getMessage().split()[2] for record in caplog.records] == ["1", "2", "4"]
        await callers[0].close()
        await until(lambda: door.listener.census.total == 2)
        assert (await door.ask(GET)).status == 200


async def test_strangers_may_hold_a_share_and_known_callers_more() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        if inbound.headers.get("x-api-key"):
            inbound.mark_authenticated()
            inbound.mark_authenticated()
        await inbound.answer(200, {}, b"")

    async with listening(handler, limits=ListenerLimits(connections=4, unauthenticated_share=0.5)) as door:
        known = [await door.call() for _ in range(2)]
        for caller in known:
            await caller.send(GET[:-2] + b"X-Api-Key: k\r\n\r\n")
            await caller.answer()
        assert (door.listener.census.total, door.listener.census.strangers) == (2, 0)
        for _ in range(2):
            await door.call()
        await until(lambda: door.listener.census.strangers == 2)
        assert await (await door.call()).rest() == b""
        await known[0].send(GET)
        assert (await known[0].answer()).status == 200
