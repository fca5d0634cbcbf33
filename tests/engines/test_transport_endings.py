"""The transport and time: engines that hang, drip and die, pooled connections gone stale, callers that leave."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import sys
import termios
from contextlib import suppress
from dataclasses import replace

import pytest

from engines.contract import Engine, Kind, Model, Target, UpstreamRequest
from engines.transport import HttpTransport
from engines.wire import Wire
from policies.errors import EngineBroke, EngineTimeout, EngineUnreachable
from tests.engines.asking import ASK, CHUNKED, ask, failure
from tests.engines.loopback import Peer, always, reply, serving
from tests.engines.permits import deleting, permit

# time


async def test_nobody_listens(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        engine = server.engine()
    with pytest.raises(EngineUnreachable) as caught:
        await ask(transport, engine)
    assert not caught.value.connected


async def test_slow_to_the_first_byte(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    error = await failure(transport, script, first_byte=0.1)
    assert isinstance(error, EngineTimeout)
    assert error.detail == "first byte"


async def test_a_chunk_that_does_not_parse_is_told_at_once(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\none\r\n")
        await peer.say(b"zz\r\nno size\r\n")
        await peer.gone()

    assert isinstance(await failure(transport, script, gap=30.0), EngineBroke)


async def test_a_gap_between_chunks(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\none\r\n")
        await peer.gone()

    error = await failure(transport, script, gap=0.1)
    assert isinstance(error, EngineTimeout)
    assert error.detail == "gap between chunks"


async def test_a_drip_runs_into_the_total(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        while True:
            await peer.say(b"1\r\n.\r\n")
            await asyncio.sleep(0.02)

    error = await failure(transport, script, gap=5, total=0.3)
    assert isinstance(error, EngineTimeout)
    assert error.detail == "total"


# pooled connections


async def test_a_stale_pooled_connection_is_retried_once(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply(b"%d" % peer.number))
        if peer.number == 1:
            await peer.request()  # the second request arrives on a connection the engine is about to close

    async with serving(script) as server:
        assert await ask(transport, server.engine()) == b"1"
        assert await ask(transport, server.engine()) == b"2"
    assert server.connections == 2


async def test_an_engine_that_has_closed_all_its_connections_gets_a_new_one(transport: HttpTransport) -> None:
    both = asyncio.Barrier(2)

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number <= both.parties:
            await both.wait()
            await peer.say(reply())
            await peer.request()
        else:
            await peer.say(reply(b"fresh"))

    async with serving(script) as server:
        async with asyncio.TaskGroup() as group:
            for _ in range(both.parties):
                group.create_task(ask(transport, server.engine()))
        assert await ask(transport, server.engine()) == b"fresh"
    assert server.connections == 3
    assert transport.retried == {server.engine().name: 1}


async def test_a_request_that_the_engine_had_for_a_while_is_not_sent_again(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply())
        await peer.request()  # and works on it for longer than that, and dies of it

    monkeypatch.setattr("engines.transport._STALE", -1.0)
    async with serving(script) as server:
        await ask(transport, server.engine())
        with pytest.raises(EngineUnreachable):
            await ask(transport, server.engine())
    assert len(server.seen) == 2
    assert not transport.retried


async def test_a_request_that_may_have_ended_the_engine_is_why_there_is_no_connection(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(_: object) -> Wire:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply())
        await peer.request()
        monkeypatch.setattr(transport._pool, "_connect", refused)

    async with serving(script) as server:
        await ask(transport, server.engine())
        with pytest.raises(EngineUnreachable) as caught:
            await ask(transport, server.engine())
    assert caught.value.connected
    assert caught.value.detail == f"ConnectionRefusedError {errno.ECONNREFUSED}"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EADDRNOTAVAIL])
async def test_our_own_wants_are_no_fault_of_the_engine(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def wanting(_: object) -> Wire:
        raise OSError(number, "ours")

    monkeypatch.setattr(transport._pool, "_connect", wanting)
    with pytest.raises(EngineUnreachable) as caught:
        await ask(transport, Engine("e", Kind.OPENAI, "http://127.0.0.1:9", 1))
    assert caught.value.connected


@pytest.mark.parametrize("host", [".x", "a" * 64])
async def test_a_name_that_is_none_is_an_engine_that_is_not_there(transport: HttpTransport, host: str) -> None:
    with pytest.raises(EngineUnreachable):
        await ask(transport, Engine("e", Kind.OPENAI, f"http://{host}:9", 1))


async def test_a_deletion_has_a_connection_of_its_own(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        engine = replace(server.engine(), kind=Kind.OLLAMA)
        for _ in range(2):
            async with transport.delete(deleting(), Target(engine, Model("m", "m"))) as answer:
                await answer.read(10)
    assert server.connections == 2


async def test_a_fresh_connection_that_dies_is_not_retried(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        with pytest.raises(EngineUnreachable) as caught:
            await ask(transport, server.engine())
    assert server.connections == 1
    assert caught.value.connected  # what was asked may be why


async def test_nor_is_a_deletion_whose_answer_is_lost(transport: HttpTransport) -> None:
    """The engine may have deleted the model; a second answer would be a 404."""

    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        engine = replace(server.engine(), kind=Kind.OLLAMA)
        with pytest.raises(EngineUnreachable):
            async with transport.delete(deleting(), Target(engine, Model("m", "m"))):
                pass
    assert server.connections == 1
    assert not transport.retried


async def test_a_reused_connection_that_dies_within_the_head_is_not_retried(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply())
        await peer.request()
        await peer.say(b"HTTP/1.1 200 O")

    async with serving(script) as server:
        await ask(transport, server.engine())
        with pytest.raises(EngineBroke):
            await ask(transport, server.engine())
    assert server.connections == 1


async def test_a_retry_is_not_retried(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.say(reply())
            await peer.request()

    async with serving(script) as server:
        await ask(transport, server.engine())
        with pytest.raises(EngineUnreachable):
            await ask(transport, server.engine())
    assert server.connections == 2


# leaving


async def leaves(transport: HttpTransport, engine: Engine, waiting: asyncio.Event, request: UpstreamRequest) -> None:
    """Start a request, cancel it once `waiting` is set."""

    async def work() -> None:
        async with transport.send(permit(), engine, request) as answer:
            async for _ in answer.chunks():
                pass

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await waiting.wait()
        task.cancel()


@pytest.mark.parametrize("said", [b"", CHUNKED, CHUNKED + b"3\r\none\r\n"], ids=["before-head", "after-head", "amid"])
async def test_cancelling_closes_the_connection_at_once(transport: HttpTransport, said: bytes) -> None:
    waiting, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)
        waiting.set()
        await peer.gone()
        gone.set()

    async with serving(script) as server:
        await leaves(transport, server.engine(), waiting, ASK)
        async with asyncio.timeout(1):
            await gone.wait()


async def full(peer: Peer) -> None:
    """Wait until all buffers on the way to `peer` are full: what the kernel holds for it does not grow any more."""
    socket, sizes = peer.writer.get_extra_info("socket"), [0]
    while len(sizes) < 20 or not sizes[-1] or len(set(sizes[-20:])) > 1:
        await asyncio.sleep(0.01)
        sizes.append(int.from_bytes(fcntl.ioctl(socket.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder))


async def test_cancelling_an_upload_that_nobody_reads_closes_at_once(transport: HttpTransport) -> None:
    """A graceful close would wait for ever until the rest is sent, and the engine would think we are still there."""
    waiting, gone = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")  # and nothing more
        await full(peer)
        waiting.set()
        with suppress(ConnectionError):
            while True:
                await peer.say(b"x")  # fails once the other side is closed
                await asyncio.sleep(0.01)
        gone.set()

    async with serving(script) as server:
        await leaves(transport, server.engine(), waiting, UpstreamRequest("POST", ASK.path, b"x" * (32 << 20)))
        async with asyncio.timeout(1):
            await gone.wait()


async def test_leaving_before_the_end_closes_the_connection(transport: HttpTransport) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\none\r\n")
        await peer.gone()
        gone.set()

    async with serving(script) as server:
        async with transport.send(permit(), server.engine(), ASK) as answer:
            async for _ in answer.chunks():
                break
        async with asyncio.timeout(1):
            await gone.wait()


async def test_an_answer_read_to_its_end_leaves_the_connection_for_the_next(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        for _ in range(5):
            await ask(transport, server.engine())
    assert server.connections == 1
