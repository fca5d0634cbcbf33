"""The door: peers are judged before a byte of theirs is read, and before OpenSSL works for them."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from edge.listener import link
from edge.listener.limits import ListenerLimits
from edge.listener.request import AiohttpInbound
from edge.tls.context import load, server_context
from edge.tls.names import Names
from tests.edge.listener.harness import GET, PATIENCE, Caller, Door, listening, until
from tests.edge.tls.certificates import authority

HERE = (ip_network("127.0.0.0/8"),)
ELSEWHERE = (ip_network("10.0.0.0/8"),)


class Pair:
    """A server's context and one that trusts it."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        names = Names.of(["localhost"], [ip_address("127.0.0.1")])
        signer = authority(now, names)
        self.server = server_context()
        load(self.server, signer.issue(names, now), folder)
        self.client = ssl.create_default_context(cadata=signer.certificate_pem.decode())


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("tls"))


async def secured(door: Door, tls: Pair) -> Caller:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, ssl=tls.client)
    caller = Caller(reader, writer)
    door.callers.append(caller)
    return caller


async def received(door: Door, data: bytes) -> bytes | type[Exception]:
    """All that a raw connection which sends `data` gets, or the kind of its end."""
    try:
        async with asyncio.timeout(PATIENCE):
            caller = await door.call()
            caller.writer.write(data)
            return await caller.reader.read()
    except ConnectionError as error:  # a reset may come before the connection is known to be one
        return type(error)


async def test_callers_from_its_networks_are_served_and_known_to_use_tls(tls: Pair) -> None:
    seen = list[tuple[str, str]]()

    async def handler(inbound: AiohttpInbound) -> None:
        seen.append((inbound.client.ip, inbound.client.tls))
        await inbound.answer(200, {}, b"yes")

    async with listening(handler, ssl=tls.server, networks=HERE) as door:
        caller = await secured(door, tls)
        for _ in range(2):
            await caller.send(GET)
            assert (await caller.answer()).body == b"yes"
        assert door.listener.census.total == 1
    assert seen == [("127.0.0.1", "TLSv1.3")] * 2


@pytest.mark.parametrize("encrypted", [True, False])
async def test_a_peer_from_elsewhere_is_reset_before_any_http(
    tls: Pair, encrypted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(ssl=tls.server if encrypted else None, networks=ELSEWHERE) as door:
        for _ in range(3):
            # uvloop reads ahead of the reset on plain sockets, and sees an end
            assert await received(door, GET) in {ConnectionResetError, BrokenPipeError, b""}
        assert door.listener.refused == 3
        assert (door.seen, door.refused) == ([], [])
        assert not door.listener.census.total
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2  # the first and the second; the next is told at the fourth
    assert "1 connections from outside of its networks" in warnings[0]
    assert "127.0.0.1" in warnings[0]


async def test_what_macos_does_with_a_peer_that_was_gone_first_does_not_end_the_accepting(
    tls: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives no address for it, and no option can be set on its socket any more."""
    accept = socket.socket.accept
    odd = [True]

    def accepted(sock: socket.socket) -> tuple[socket.socket, object]:
        peer, address = accept(sock)
        return peer, None if odd and odd.pop() else address

    monkeypatch.setattr(socket.socket, "accept", accepted)
    async with listening(ssl=tls.server) as door:
        assert await received(door, GET) in {ConnectionResetError, BrokenPipeError, b""}
        assert odd == []
        await (await secured(door, tls)).send(GET)
        await until(lambda: door.seen)
    monkeypatch.setattr(link, "_RESET", b"")  # EINVAL here, too
    async with listening(ssl=tls.server, networks=ELSEWHERE) as door:
        for count in (1, 2):
            assert await received(door, GET) in {ConnectionResetError, BrokenPipeError, b""}
            assert door.listener.refused == count


async def test_a_forged_header_opens_nothing(tls: Pair) -> None:
    forged = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n\r\n")
    async with listening(networks=ELSEWHERE) as door:
        assert await received(door, forged) in {ConnectionResetError, BrokenPipeError, b""}
        assert door.seen == []


async def test_handshakes_count_like_connections_and_give_their_place_back(tls: Pair) -> None:
    limits = ListenerLimits(connections_per_source=2)
    async with listening(limits=limits, ssl=tls.server) as door:
        silent = [await door.call() for _ in range(2)]
        await until(lambda: door.listener.census.total == 2)
        assert await received(door, GET) in {ConnectionResetError, BrokenPipeError}
        for caller in silent:
            await caller.close()
        await until(lambda: not door.listener.census.total)
        caller = await secured(door, tls)
        await caller.send(GET)
        assert (await caller.answer()).status == 200


async def test_what_is_no_tls_is_ended_and_gives_its_place_back(tls: Pair) -> None:
    async with listening(ssl=tls.server) as door:
        for junk in (GET, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 600, b"\x00" * 100):
            answer = await received(door, junk)
            assert not isinstance(answer, bytes) or b"HTTP" not in answer
        await until(lambda: not door.listener.census.total)
        assert door.seen == []


async def test_a_handshake_that_hangs_is_given_up(tls: Pair) -> None:
    async with listening(limits=ListenerLimits(tls_handshake_s=0.1), ssl=tls.server) as door:
        assert await (await door.call()).rest() == b""
        await until(lambda: not door.listener.census.total)


async def test_a_drain_closes_the_door_cuts_handshakes_and_lets_requests_finish(tls: Pair) -> None:
    go = asyncio.Event()

    async def handler(inbound: AiohttpInbound) -> None:
        await go.wait()
        await inbound.answer(200, {}, b"done")

    async with listening(handler, ssl=tls.server) as door:
        busy, hanging = await secured(door, tls), await door.call()
        await busy.send(GET)
        await until(lambda: door.listener.active == 1 and door.listener.census.total == 2)
        port = door.port
        draining = asyncio.ensure_future(door.listener.drain(PATIENCE))
        assert await hanging.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not draining.done()
        go.set()
        assert (await busy.answer()).body == b"done"
        async with asyncio.timeout(PATIENCE):
            await draining
        await until(lambda: not door.listener.census.total)


async def test_a_large_stream_arrives_whole(tls: Pair) -> None:
    block = b"x" * 65_536

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        for _ in range(64):
            await inbound.write(block)
        await inbound.end()

    async with listening(handler, ssl=tls.server) as door:
        caller = await secured(door, tls)
        await caller.send(GET)
        assert len((await caller.answer()).body) == 64 * len(block)


async def test_a_reader_that_takes_nothing_is_cut_over_tls_too(tls: Pair) -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        while True:
            await inbound.write(b"x" * 65_536)

    async with listening(handler, limits=ListenerLimits(write_stall_s=0.2), ssl=tls.server) as door:
        caller = await secured(door, tls)
        await caller.send(GET)
        await until(lambda: door.listener.active)
        await until(lambda: not door.listener.census.total)
