"""Bodies on demand, and answers as they look on the wire."""

from __future__ import annotations

import asyncio

import pytest

from edge.listener.limits import KIB, ListenerLimits
from edge.listener.request import AiohttpInbound
from policies.errors import Refusal
from policies.reasons import Reason
from tests.edge.listener.harness import GET, PATIENCE, listening, post, until

CHUNKED = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
SLOW = ListenerLimits(body_s=0.3, body_grace_s=0.15, body_rate=1000, discard_s=0.1)


def http10(data: bytes) -> bytes:
    return data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)


async def test_a_request_arrives_as_it_was_sent() -> None:
    seen: list[AiohttpInbound] = []

    async def handler(inbound: AiohttpInbound) -> None:
        seen.append(inbound)
        assert await inbound.body(10) == b"hello"
        await inbound.answer(200, {}, b"")

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"hello", b"X-Api-Key: k").replace(b" HTTP", b"?beta=true HTTP"))
        assert (await caller.answer()).status == 200
        inbound = seen[0]
        assert (inbound.method, inbound.path, inbound.query) == ("POST", "/v1/chat/completions", "beta=true")
        assert inbound.headers["x-api-key"] == "k"
        assert inbound.client.ip == "127.0.0.1"
        assert inbound.client.listener == "test"
        assert inbound.client.port == caller.writer.get_extra_info("sockname")[1]


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_of_any_size_arrive_whole(size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    data = post(body)
    if chunked:
        blocks = [body[at : at + 10_000] for at in range(0, len(body), 10_000)]
        data = CHUNKED + b"\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(b), b) for b in blocks) + b"0\r\n\r\n"
    async with listening() as door:
        assert (await door.ask(data)).status == 200
        assert door.seen[0][2] == body


async def test_no_100_is_sent_before_the_body_is_asked_for() -> None:
    go = asyncio.Event()

    async def handler(inbound: AiohttpInbound) -> None:
        await go.wait()
        await inbound.answer(200, {}, await inbound.body(100))

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))
        await until(lambda: door.listener.active)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await caller.reader.read(1)
        go.set()
        assert await caller.line() == b"HTTP/1.1 100 Continue\r\n"
        assert await caller.line() == b"\r\n"
        await caller.send(b"hello")
        assert (await caller.answer()).body == b"hello"


async def test_a_refused_expectation_is_never_invited() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        raise Refusal(Reason.MISSING_CREDENTIAL)

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))
        assert (await caller.rest()).startswith(b"HTTP/1.1 401 ")


async def test_no_100_is_sent_when_the_body_is_there_already() -> None:
    async with listening() as door:
        assert (await door.ask(post(b"hello", b"Expect: 100-continue"))).status == 200


async def test_a_declared_body_over_the_limit_is_refused_at_once() -> None:
    async with listening(limits=ListenerLimits(body_bytes=1000)) as door:
        answer = await door.ask(post(b"").replace(b"Length: 0", b"Length: 1001"))
        assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_route_may_allow_less() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.body(3)

    async with listening(handler) as door:
        assert (await door.ask(post(b"hello"))).status == 413


async def test_a_chunked_body_over_the_limit_is_refused() -> None:
    async with listening(limits=ListenerLimits(body_bytes=1000)) as door:
        caller = await door.call()
        await caller.send(CHUNKED + b"\r\n" + b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na\r\n")
        assert (await caller.answer()).status == 413


async def test_a_body_that_stops_is_refused_after_the_grace() -> None:
    async with listening(limits=SLOW) as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 5") + b"hel")
        assert (await caller.answer()).status == 408
        assert await caller.rest() == b""


async def test_a_body_that_drips_is_refused_though_it_never_stops() -> None:
    async with listening(limits=SLOW) as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 100000"))
        start = asyncio.get_running_loop().time()
        reading = asyncio.ensure_future(caller.answer())
        while not reading.done():
            await caller.send(b"a")
            await asyncio.wait([reading], timeout=0.01)
        assert reading.result().status == 408
        assert asyncio.get_running_loop().time() - start < PATIENCE / 2


async def test_a_body_fast_enough_but_endless_ends_at_the_deadline() -> None:
    async with listening(limits=SLOW) as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 10000000"))
        reading = asyncio.ensure_future(caller.answer())
        while not reading.done():
            await caller.send(b"a" * 1000)
            await asyncio.wait([reading], timeout=0.01)
        assert reading.result().status == 408


async def test_a_tiny_chunk_flood_is_refused() -> None:
    async with listening(limits=ListenerLimits(chunk_overhead_bytes=10 * KIB)) as door:
        caller = await door.call()
        await caller.send(CHUNKED + b"\r\n" + b"1\r\na\r\n" * 10_000)
        assert (await caller.answer()).status == 413


async def test_a_stream_is_chunked() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {"content-type": "text/event-stream"})
        for block in (b"data: 1\n\n", b"", b"data: 2\n\n"):
            await inbound.write(block)
        await inbound.end()

    async with listening(handler) as door:
        caller = await door.call()
        for _ in range(2):
            await caller.send(GET)
            answer = await caller.answer()
            assert answer.headers["transfer-encoding"] == "chunked"
            assert answer.body == b"data: 1\n\ndata: 2\n\n"


async def test_the_head_of_a_stream_goes_out_before_its_first_block() -> None:
    go = asyncio.Event()

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await go.wait()
        await inbound.end()

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        assert (await caller.head()).status == 200
        go.set()
        assert await caller.line() == b"0\r\n"


async def test_an_http_1_0_stream_ends_with_the_connection() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await inbound.write(b"hello")
        await inbound.end()

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(http10(GET))
        got = await caller.rest()
        assert b"transfer-encoding" not in got
        assert got.endswith(b"connection: close\r\n\r\nhello")


async def test_an_aborted_http_1_0_stream_is_a_reset_and_no_end() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await inbound.write(b"hel")
        await go.wait()
        inbound.abort()

    go = asyncio.Event()
    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(http10(GET))
        await caller.head()
        go.set()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(caller.reader.read(), PATIENCE)


async def test_an_aborted_stream_has_no_terminating_chunk() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await inbound.write(b"hello")
        inbound.abort()

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        assert b"0\r\n\r\n" not in await caller.rest()


@pytest.mark.parametrize("status", [200, 404])
async def test_head_gets_the_length_and_no_body(status: int) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(status, {}, b"hello")

    async with listening(handler) as door:
        caller = await door.call()
        for _ in range(2):
            await caller.send(GET.replace(b"GET", b"HEAD"))
            answer = await caller.head()
            assert (answer.status, answer.headers["content-length"]) == (status, "5")


async def test_204_has_neither_length_nor_body() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(204, {}, b"ignored")

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        got = await caller.rest()
        assert b"content-length" not in got
        assert got.endswith(b"\r\n\r\n")


async def test_a_large_answer_and_a_large_block_arrive_whole() -> None:
    big = bytes(range(256)) * 8192

    async def handler(inbound: AiohttpInbound) -> None:
        if inbound.path == "/v1/models":
            await inbound.answer(200, {}, big)
        else:
            await inbound.begin(200, {})
            await inbound.write(big)
            await inbound.end()

    async with listening(handler) as door:
        caller = await door.call()
        for data in (GET, GET.replace(b"/v1/models", b"/v1/stream"), GET):
            await caller.send(data)
            assert (await caller.answer()).body == big


async def test_an_unread_body_closes_the_connection() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, b"")

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"hello"))
        assert (await caller.answer()).headers["connection"] == "close"
        assert await caller.rest() == b""


async def test_a_request_is_answered_exactly_once() -> None:
    wrong: list[str] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, b"")
        for again in (inbound.answer(200, {}, b""), inbound.begin(200, {}), inbound.write(b"a"), inbound.end()):
            try:
                await again
            except RuntimeError as error:
                wrong.append(str(error))

    async with listening(handler) as door:
        assert (await door.ask(GET)).status == 200
        await until(lambda: len(wrong) == 4)


async def test_a_header_that_splits_the_answer_becomes_a_500() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {"x": "a\r\nset-cookie: b"}, b"")

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        got = await caller.rest()
        assert b"set-cookie" not in got
