"""Callers that do not read, and the ways a connection ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from edge.listener.limits import KIB, MIB, ListenerLimits
from edge.listener.request import AiohttpInbound
from policies.errors import Refusal
from policies.reasons import Reason
from tests.edge.listener.harness import GET, PATIENCE, Door, listening, post, until


def deaf(door: Door) -> socket.socket:
    """A connected socket with a small receive buffer, whose owner reads when it likes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
    sock.connect(("127.0.0.1", door.port))
    sock.setblocking(False)
    return sock


async def test_a_caller_that_takes_nothing_is_cut_off() -> None:
    ended: list[BaseException] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        try:
            while True:
                await inbound.write(b"a" * 64 * KIB)
        except BaseException as error:
            ended.append(error)
            raise

    async with listening(handler, limits=ListenerLimits(write_stall_s=0.2)) as door:
        with deaf(door) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            await until(lambda: ended)
            assert isinstance(ended[0], ConnectionError)
            await until(lambda: not door.listener.census.total)


async def test_a_slow_caller_is_not_a_stalled_one() -> None:
    big = b"a" * 8 * MIB

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, big)

    async with listening(handler, limits=ListenerLimits(write_stall_s=0.3)) as door:
        loop, got, start = asyncio.get_running_loop(), 0, asyncio.get_running_loop().time()
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET)
            while got < len(big):
                block = await loop.sock_recv(sock, 256 * KIB)
                assert block, "cut off while reading"
                got += len(block)
                if loop.time() - start < 0.9:
                    await asyncio.sleep(0.01)
        assert loop.time() - start >= 0.9


async def test_a_caller_that_takes_too_little_is_cut_off_though_it_never_stalls() -> None:
    ended: list[BaseException] = []

    async def handler(inbound: AiohttpInbound) -> None:
        try:
            await inbound.answer(200, {}, b"a" * 32 * MIB)
        except BaseException as error:
            ended.append(error)
            raise

    limits = ListenerLimits(write_stall_s=0.4, write_rate=1024 * MIB)
    async with listening(handler, limits=limits) as door:
        loop = asyncio.get_running_loop()
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET)
            start, got = loop.time(), 0
            while not ended and loop.time() - start < PATIENCE:
                with suppress(ConnectionError):
                    got += len(await loop.sock_recv(sock, 64 * KIB))
                await asyncio.sleep(0.005)
            assert isinstance(ended[0], ConnectionAbortedError)
            assert 0 < got < 32 * MIB


async def test_the_pauses_of_an_engine_cost_the_caller_no_credit() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        for _ in range(12):
            await inbound.write(b"a" * MIB)
            await asyncio.sleep(0.1)
        await inbound.end()

    async with listening(handler, limits=ListenerLimits(write_stall_s=1, write_rate=1024 * MIB)) as door:
        assert len((await door.ask(GET)).body) == 12 * MIB


async def test_each_answer_has_its_own_credit() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, b"a" * 4 * MIB)

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        await caller.answer()
        (connection,) = door.listener._floor.connections
        connection._blocked = 1e9
        await caller.send(GET)
        assert len((await caller.answer()).body) == 4 * MIB


@pytest.mark.parametrize("way", ["stalls", "fails", "is cut", "junk", "half-closes", "last bytes"])
async def test_what_is_missing_of_an_http_1_0_stream_shows_as_a_reset(way: str) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await fill(inbound)
        full.set()
        if way == "fails":
            raise ValueError
        await (inbound.end() if way == "last bytes" else inbound.write(b"a"))

    full, stall = asyncio.Event(), 0.2 if way in {"stalls", "last bytes"} else PATIENCE
    async with listening(handler, limits=ListenerLimits(write_stall_s=stall)) as door:
        loop = asyncio.get_running_loop()
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET.replace(b"1.1", b"1.0"))
            await full.wait()
            if way == "is cut":
                next(iter(door.listener._floor.connections)).cut_off()
            elif way == "junk":
                await loop.sock_sendall(sock, b"a" * 600 * KIB)
            elif way == "half-closes":
                sock.shutdown(socket.SHUT_WR)
            await until(lambda: not door.listener.census.total)
            with pytest.raises(ConnectionResetError):
                await everything(sock)


async def everything(sock: socket.socket) -> bytes:
    """All bytes up to a proper end."""
    got = b""
    while block := await asyncio.get_running_loop().sock_recv(sock, 256 * KIB):
        got += block
    return got


async def fill(inbound: AiohttpInbound) -> None:
    """Write until the caller takes no more, and give up waiting."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            while True:
                await inbound.write(b"a" * 64 * KIB)


async def test_a_write_that_was_cancelled_while_waiting_leaves_the_stream_usable() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await fill(inbound)
        assert not inbound.torn
        full.set()
        await inbound.write(b"data: error")
        await inbound.end()

    full = asyncio.Event()
    async with listening(handler) as door:
        loop, got = asyncio.get_running_loop(), b""
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET)
            await full.wait()
            async with asyncio.timeout(PATIENCE):
                while not got.endswith(b"0\r\n\r\n"):
                    block = await loop.sock_recv(sock, 256 * KIB)
                    assert block
                    got += block
        assert got.endswith(b"\r\ndata: error\r\n0\r\n\r\n")


async def test_one_cancelled_writer_does_not_cancel_another() -> None:
    outcomes: list[object] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        await fill(inbound)
        one, other = (asyncio.ensure_future(inbound.write(b"%d" % n)) for n in range(2))
        await asyncio.sleep(0)
        one.cancel()
        full.set()
        outcomes.extend(await asyncio.gather(one, other, return_exceptions=True))
        await inbound.end()

    full = asyncio.Event()
    async with listening(handler) as door:
        loop = asyncio.get_running_loop()
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET)
            await full.wait()
            async with asyncio.timeout(PATIENCE):
                while not outcomes:
                    await loop.sock_recv(sock, 256 * KIB)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1] is None


async def test_a_block_cut_off_half_way_is_torn_and_nothing_follows_it() -> None:
    refused: list[Exception] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await inbound.write(b"a" * 8 * MIB)
        assert inbound.torn
        for attempt in (inbound.write(b"data: error"), inbound.end()):
            try:
                await attempt
            except ConnectionError as error:
                refused.append(error)
        inbound.abort()

    async with listening(handler) as door:
        with deaf(door) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            await until(lambda: len(refused) == 2)
            with pytest.raises(ConnectionResetError):
                await everything(sock)


async def test_a_whole_answer_that_was_cancelled_half_way_is_not_complete() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await inbound.answer(200, {}, b"a" * 8 * MIB)
        assert not inbound.complete

    async with listening(handler) as door:
        loop = asyncio.get_running_loop()
        with deaf(door) as sock:
            await loop.sock_sendall(sock, GET)
            await until(lambda: door.listener.active)
            await until(lambda: not door.listener.census.total)
            with pytest.raises(ConnectionResetError):
                await everything(sock)


async def test_a_caller_that_does_not_take_the_last_answer_is_cut_off_too() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.answer(200, {}, b"a" * 8 * MIB, close=True)

    async with listening(handler, limits=ListenerLimits(write_stall_s=0.2)) as door:
        with deaf(door) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            await until(lambda: door.listener.census.total)
            await until(lambda: not door.listener.census.total)


async def test_little_is_held_for_a_caller_that_does_not_read() -> None:
    limits = ListenerLimits(write_stall_s=PATIENCE)
    peak = 0

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        while True:
            await inbound.write(b"a" * MIB)

    async with listening(handler, limits=limits) as door:
        with deaf(door) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            for _ in range(50):
                await asyncio.sleep(0.002)
                for connection in door.listener._floor.connections:
                    if connection._wire is not None:
                        peak = max(peak, connection._wire.get_write_buffer_size())
    assert 0 < peak <= limits.stream_buffer_bytes


async def test_after_a_401_the_answer_ends_at_once_and_the_upload_is_not_swallowed() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        raise Refusal(Reason.MISSING_CREDENTIAL)

    async with listening(handler, limits=ListenerLimits(discard_s=PATIENCE)) as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 10000000000"))
        assert (await caller.answer()).status == 401
        start = asyncio.get_running_loop().time()
        assert await caller.rest() == b""
        assert asyncio.get_running_loop().time() - start < 0.5
        (connection,) = door.listener._floor.connections
        sent = 0
        with suppress(ConnectionError, asyncio.TimeoutError):
            while True:
                caller.writer.write(b"a" * 64 * KIB)
                sent += 64 * KIB
                async with asyncio.timeout(PATIENCE):
                    await caller.writer.drain()
        await until(lambda: not door.listener.census.total)
        # What the process read: the cap, and at most the one read that went over it. The rest was the kernel's.
        assert connection._discarded <= 512 * KIB
        assert sent < 64 * MIB


async def test_an_upload_of_ordinary_size_still_sees_its_401() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        raise Refusal(Reason.INVALID_CREDENTIAL)

    async with listening(handler) as door:
        for _ in range(30):
            caller = await door.call()
            await caller.send(post(b"a" * 200_000))
            assert (await caller.answer()).status == 401


async def test_a_lingering_connection_ends_by_itself() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        raise Refusal(Reason.MISSING_CREDENTIAL)

    async with listening(handler, limits=ListenerLimits(discard_s=0.05)) as door:
        caller = await door.call()
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 100"))
        assert (await caller.answer()).status == 401
        await until(lambda: not door.listener.census.total)


async def test_writing_to_a_caller_that_left_is_a_connection_error() -> None:
    caught: list[Exception] = []

    async def handler(inbound: AiohttpInbound) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            for attempt in (inbound.begin(200, {}), inbound.body(10)):
                try:
                    await attempt
                except Exception as error:  # noqa: BLE001 - the test asks which
                    caught.append(error)
            raise

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5"))
        await until(lambda: door.listener.active)
        await caller.close()
        await until(lambda: len(caught) == 2)
    assert all(isinstance(error, ConnectionError) for error in caught), caught


@pytest.mark.parametrize("data", [GET, post(b"hello")])
async def test_callers_that_vanish_leave_no_trace_in_the_log(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.body(100)
        await inbound.begin(200, {})
        while True:
            await inbound.write(b"a" * 10_000)
            await asyncio.sleep(0)

    async with listening(handler) as door:
        for _ in range(20):
            caller = await door.call()
            await caller.send(data)
            await caller.head()
            await caller.close()
        await until(lambda: not door.listener.active)
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
