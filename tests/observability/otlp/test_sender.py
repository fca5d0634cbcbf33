"""One POST: what comes back is an Answer whatever the other side does, and TLS is verified."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from observability.otlp.delivery import Answer
from observability.otlp.sender import Collector, HttpSender

_PARTIAL = b'Content-Type: application/json\r\nContent-Length: 38\r\n\r\n{"partialSuccess":{"rejectedSpans":3}}'


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "collector.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says `answer` to each request, and the heads that it saw; "" is silence."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def send(collector: Collector, seconds: float = 10.0) -> Answer:
    sender = HttpSender(collector, seconds=seconds)
    try:
        return await sender.send("/v1/traces", b"body", "text/plain")
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Answer(200)),
        (b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", Answer(429, retry_after=7.0)),
        (b"HTTP/1.1 200 OK\r\n" + _PARTIAL, Answer(200, rejected=3)),
        (b"HTTP/1.1 400 No\r\n" + _PARTIAL, Answer(400, rejected=3)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, Answer(200)),
    ],
)
async def test_reads_the_head(said: bytes, answer: Answer) -> None:
    async with answering(said) as (url, heads):
        assert await send(Collector(url, {"authorization": "Bearer t"})) == answer
    lines = heads[0].decode().lower().split("\r\n")
    assert lines[0] == "post /v1/traces http/1.1"
    assert {"authorization: bearer t", "content-encoding: gzip", "user-agent: llm-gateway"} <= set(lines)
    assert not [line for line in lines if line.startswith("cookie")]


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (elsewhere, seen):
        said = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere}/v1/traces\r\nContent-Length: 0\r\n\r\n"
        async with answering(said.encode()) as (url, _):
            assert (await send(Collector(url))).status == 307
    assert seen == []


@pytest.mark.parametrize("said", [b"nonsense\r\n\r\n", b"HTTP/1.1 200"])
async def test_what_is_no_http_is_a_failure(said: bytes) -> None:
    async with answering(said) as (url, _):
        answer = await send(Collector(url), 0.5)
    assert (answer.status, bool(answer.failure), answer.again) == (0, True, True)


async def test_silence_has_an_end() -> None:
    async with answering(b"") as (url, _):
        assert await send(Collector(url), 0.05) == Answer(failure="timed out")


async def test_tls_is_verified(certificate: Path) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls) as (url, heads):
        stranger = await send(Collector(url, {"authorization": "Bearer t"}))
        assert (stranger.status, stranger.failure) == (0, "ClientConnectorCertificateError")
        assert heads == []
        assert await send(Collector(url, ca_file=certificate)) == Answer(200)


def test_certificates_that_cannot_be_read_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        HttpSender(Collector("https://c", ca_file=tmp_path / "missing"))
