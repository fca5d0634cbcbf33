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
