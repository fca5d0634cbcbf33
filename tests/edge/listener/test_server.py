"""Binding, draining, closing."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import http_parser
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge.listener.connection import DRAIN
from edge.listener.limits import ListenerLimits
from edge.listener.request import AiohttpInbound
from edge.listener.server import Listener, ListenError, require_c_parser
from tests.edge.listener.harness import GET, PATIENCE, Caller, listening, post, until


async def test_a_port_in_use_is_explained_in_one_line() -> None:
    async with listening() as door:
        other = Listener(door.listener._floor.handler, door.listener._floor.rejected, name="other")
        with pytest.raises(ListenError) as error:
            await other.start("127.0.0.1", door.port)
        text = str(error.value)
        assert text.startswith(f"cannot listen on 127.0.0.1:{door.port}: another program")
        assert "\n" not in text
        assert other.port == 0


@pytest.mark.parametrize(("host", "hint"), [("192.0.2.1", "no such address"), ("no.such.invalid", "does not resolve")])
async def test_an_address_that_is_not_ours_is_explained(host: str, hint: str) -> None:
    async with listening() as door:
        other = Listener(door.listener._floor.handler, door.listener._floor.rejected, name="other")
        with pytest.raises(ListenError, match=hint):
            await other.start(host, 0)


def test_the_python_parser_is_not_let_near_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    require_c_parser()
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ListenError, match="AIOHTTP_NO_EXTENSIONS"):
        require_c_parser()


def test_the_switch_that_selects_the_python_parser_is_noticed() -> None:
    script = "from edge.listener.server import require_c_parser; require_c_parser()"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"AIOHTTP_NO_EXTENSIONS": "1"},
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "ListenError: aiohttp runs on its pure-Python HTTP parser" in done.stderr


async def test_a_drain_closes_the_door_and_idle_connections_at_once_and_lets_requests_finish() -> None:
    go = asyncio.Event()

    async def handler(inbound: AiohttpInbound) -> None:
        if inbound.method == "POST":
            await go.wait()
        await inbound.answer(200, {}, b"done")

    async with listening(handler) as door:
        idle, fresh, busy = await door.call(), await door.call(), await door.call()
        await idle.send(GET)
        await idle.answer()
        await busy.send(post(b""))
        await until(lambda: door.listener.active == 1 and door.listener.census.total == 3)
        port = door.port
        draining = asyncio.ensure_future(door.listener.drain(PATIENCE))
        assert await idle.rest() == b""
        assert await fresh.rest() == b""
        assert door.listener.draining
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert not draining.done()
        go.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        async with asyncio.timeout(PATIENCE):
            await draining


async def test_after_the_deadline_requests_are_cut_and_may_end_their_streams() -> None:
    cut: list[tuple[bool, tuple[object, ...]]] = []

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            cut.append((inbound.cut, error.args))
            await inbound.write(b"event: error\n\n")
            await inbound.end()
            raise

    async with listening(handler) as door:
        caller = await door.call()
        await caller.send(GET)
        await until(lambda: door.listener.active)
        await door.listener.drain(0.05)
        assert (await caller.answer()).body == b"event: error\n\n"
        assert await caller.rest() == b""
        assert cut == [(True, (DRAIN,))]


async def test_a_request_that_ignores_the_cut_is_cut_off() -> None:
    stubborn = asyncio.Event()

    async def handler(inbound: AiohttpInbound) -> None:
        await inbound.begin(200, {})
        while not stubborn.is_set():
            with suppress(asyncio.CancelledError):
                await stubborn.wait()

    async with listening(handler, limits=ListenerLimits(cut_s=0.05)) as door:
        caller = await door.call()
        await caller.send(GET)
        await until(lambda: door.listener.active)
        start = asyncio.get_running_loop().time()
        await door.listener.drain(0.05)
        assert asyncio.get_running_loop().time() - start < 1
        assert b"0\r\n\r\n" not in await caller.rest()
        stubborn.set()


async def test_draining_an_idle_listener_takes_no_time_and_may_be_repeated() -> None:
    async with listening() as door:
        async with asyncio.timeout(1):
            await door.listener.drain()
            await door.listener.drain()
            await door.listener.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    return pem


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_over_tls_requests_are_served_and_unread_bodies_refused(certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))

    async def handler(inbound: AiohttpInbound) -> None:
        if inbound.method == "POST":
            await inbound.answer(401, {}, b"no")
        else:
            await inbound.answer(200, {}, b"yes")

    limits = ListenerLimits(discard_s=0.1)
    async with listening(handler, limits=limits, ssl=server_side(certificate)) as door:
        caller = Caller(*await asyncio.open_connection("127.0.0.1", door.port, ssl=trust))
        door.callers.append(caller)
        for _ in range(2):
            await caller.send(GET)
            assert (await caller.answer()).body == b"yes"
        await caller.send(post(b"").replace(b"Length: 0", b"Length: 1000"))
        assert (await caller.answer()).status == 401
        assert await caller.rest() == b""


async def test_a_tls_handshake_that_never_comes_is_given_up(certificate: Path) -> None:
    async with listening(limits=ListenerLimits(tls_handshake_s=0.1), ssl=server_side(certificate)) as door:
        assert await (await door.call()).rest() == b""


async def test_several_listeners_may_share_one_census() -> None:
    async with listening(limits=ListenerLimits(connections_per_source=2)) as door:
        floor = door.listener._floor
        other = Listener(floor.handler, floor.rejected, name="test", census=door.listener.census)
        await other.start("127.0.0.1", 0)
        with socket.create_connection(("127.0.0.1", other.port)):
            await door.call()
            await until(lambda: door.listener.census.total == 2)
            assert await (await door.call()).rest() == b""
        await other.close()
