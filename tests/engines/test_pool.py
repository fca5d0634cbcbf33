"""Connections between two requests: which are used again, which are not, and how new ones come about."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from engines.contract import Engine, Kind, Timeouts
from engines.pool import Pool
from engines.transport import HttpTransport
from tests.engines.asking import ASK, CHUNKED, ask
from tests.engines.loopback import Peer, always, reply, serving
from tests.engines.permits import permit

_SOON = 5.0


async def test_what_comes_unasked_ends_an_idle_connection() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply(b"%d" % peer.number))
        if peer.number == 1:
            await go.wait()
            await peer.say(reply(b"poison"))
            await peer.gone()
            go.clear()

    transport = HttpTransport()
    async with serving(script) as server, asyncio.timeout(_SOON):
        assert await ask(transport, server.engine()) == b"1"
        go.set()
        while go.is_set():
            await asyncio.sleep(0.01)
        assert await ask(transport, server.engine()) == b"2"
    await transport.close()


async def test_what_the_loop_has_not_read_yet_is_no_answer_to_the_next() -> None:
    peers: list[Peer] = []

    async def script(peer: Peer) -> None:
        peers.append(peer)
        while await peer.request():
            await peer.say(reply(b"%d" % peer.number))

    transport = HttpTransport()
    async with serving(script) as server:
        assert await ask(transport, server.engine()) == b"1"
        with socket.socket(fileno=os.dup(peers[0].writer.get_extra_info("socket").fileno())) as engine:
            engine.send(reply(b"poison"))
        assert await ask(transport, server.engine()) == b"2"  # without a turn of the loop between
    await transport.close()


async def test_an_address_that_swallows_everything_does_not_keep_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = 0
    with socket.create_server(("127.0.0.1", 0), backlog=1) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        async with serving(always(reply(b"here"))) as server, asyncio.timeout(_SOON):
            good = int(server.url.rpartition(":")[2])

            async def both(*_: object, **__: object) -> list[object]:
                nonlocal looked_up
                looked_up += 1
                ends = (full.getsockname(), ("127.0.0.1", good))
                return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", end) for end in ends]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
            transport = HttpTransport()
            for _ in range(2):
                engine = Engine("e", Kind.OPENAI, "http://studio.local:9", 1, timeouts=Timeouts(connect=_SOON))
                assert await ask(transport, engine) == b"here"
                await transport.close()
        for each in waiting:
            each.close()
    assert looked_up == 1


async def test_an_answer_can_be_read_by_its_own_request_only() -> None:
    async with serving(always(reply(b"one"))) as server:
        transport = HttpTransport()
        async with transport.send(permit(), server.engine(), ASK) as first:
            assert await first.read(10) == b"one"
        async with transport.send(permit(), server.engine(), ASK) as second:
            assert await first.read(10) == b""
            assert await second.read(10) == b"one"
        await transport.close()


async def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(reply())
        await peer.gone()
        gone.set()

    transport = HttpTransport()
    monkeypatch.setattr(transport, "_pool", Pool(keep=0.05))
    async with serving(script) as server, asyncio.timeout(_SOON):
        await ask(transport, server.engine())
        await gone.wait()
    await transport.close()


async def test_closing_ends_busy_connections_too() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        await peer.gone()
        gone.set()

    transport = HttpTransport()
    async with serving(script) as server, transport.send(permit(), server.engine(), ASK), asyncio.timeout(_SOON):
        await transport.close()
        await gone.wait()
