"""No bytes whatever reach the handler or shake the listener unless they are one clean request.

The table follows Http11Probe (facts F10): each entry is answered with a constant 4xx or just closed, and never handled.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge.listener.limits import ListenerLimits
from policies.reasons import Reason
from tests.edge.listener.harness import GET, HOST, Door, listening

FAST = ListenerLimits(
    header_s=0.4,
    body_s=0.4,
    body_grace_s=0.3,
    discard_s=0.2,
    keepalive_s=0.4,
    connections_per_source=1000,
    unauthenticated_share=1,
)

_POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"


def get(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def host(value: bytes) -> bytes:
    return b"GET /v1/models HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"


def field(line: bytes) -> bytes:
    return b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n"


MALFORMED: dict[str, bytes] = {
    # request line
    "empty method": b" /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower-case method": b"get /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"FROB /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "purge": b"PURGE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "trace": b"TRACE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "connect": b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority form": b"GET localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab for space": b"GET\t/v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "trailing space": b"GET /v1/models HTTP/1.1 \r\n" + HOST + b"\r\n",
    "space in target": b"GET /v1/mod els HTTP/1.1\r\n" + HOST + b"\r\n",
    "no target": b"GET HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /v1/models\r\n" + HOST + b"\r\n",
    "http 0.9": b"GET /v1/models\r\n\r\n",
    "http 0.9 spelled": b"GET /v1/models HTTP/0.9\r\n" + HOST + b"\r\n",
    "http 1.2": b"GET /v1/models HTTP/1.2\r\n" + HOST + b"\r\n",
    "http 2.0": b"GET /v1/models HTTP/2.0\r\n" + HOST + b"\r\n",
    "http2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 11": b"GET /v1/models HTTP/11\r\n" + HOST + b"\r\n",
    "version 1.01": b"GET /v1/models HTTP/1.01\r\n" + HOST + b"\r\n",
    "lower-case http": b"GET /v1/models http/1.1\r\n" + HOST + b"\r\n",
    "ice": b"SOURCE /v1/models ICE/1.0\r\n" + HOST + b"\r\n",
    "rtsp": b"DESCRIBE /v1/models RTSP/1.0\r\n" + HOST + b"\r\n",
    "get over ice": b"GET /v1/models ICE/1.0\r\n" + HOST + b"\r\n",
    "bare lf after line": b"GET /v1/models HTTP/1.1\n" + HOST + b"\r\n",
    "bare lf everywhere": b"GET /v1/models HTTP/1.1\nHost: localhost\n\n",
    "bare cr after line": b"GET /v1/models HTTP/1.1\rHost: localhost\r\r",
    "two blank lines first": b"\r\n\r\n" + GET,
    "space first": b" " + GET,
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "ssh": b"SSH-2.0-OpenSSH_9.6\r\n",
    "socks": b"\x05\x01\x00",
    "binary": bytes(range(256)),
    "long line": b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "line without end": b"GET /" + b"a" * 70_000,
    # target (F1)
    "dot segment": get(b"/v1/../api/pull"),
    "dot segment at the end": get(b"/v1/models/.."),
    "single dot": get(b"/v1/./models"),
    "encoded dots": get(b"/v1/%2e%2e/api/pull"),
    "encoded dots, upper": get(b"/v1/%2E%2E/api/pull"),
    "double slash": get(b"//api/pull"),
    "double slash inside": get(b"/v1//models"),
    "encoded letters": get(b"/%76%31/models"),
    "backslash": get(b"/v1\\models"),
    "encoded backslash": get(b"/v1/models/a%5Cb"),
    "encoded nul": get(b"/v1/models/a%00"),
    "encoded slash outside models": get(b"/v1%2Fmodels"),
    "encoded dots behind models": get(b"/v1/models/..%2F..%2Fapi"),
    "lower-case escape": get(b"/v1/models/a%2fb"),
    "double encoded": get(b"/v1/models/a%252Fb"),
    "broken escape": get(b"/v1/models/a%2"),
    "fragment": get(b"/v1/models#x"),
    "fragment in query": get(b"/v1/models?a#x"),
    "non-ascii": get(b"/v1/mod\xc3\xa9ls"),
    "raw high byte": get(b"/v1/models/\xff"),
    "nul in target": get(b"/v1/mod\x00els"),
    "quote in target": get(b'/v1/"models"'),
    "angle in target": get(b"/v1/<models>"),
    "broken escape in query": get(b"/v1/models?a=%zz"),
    "absolute, other host": get(b"http://evil.example/v1/models"),
    "absolute, userinfo": get(b"http://u:p@localhost/v1/models"),
    "absolute, other port": get(b"http://localhost:81/v1/models"),
    "absolute, no path": get(b"http://localhost"),
    "absolute, no host": get(b"http:///v1/models"),
    "absolute, ftp": get(b"ftp://localhost/v1/models"),
    "absolute, dots": get(b"http://localhost/v1/../api"),
    "relative": get(b"v1/models"),
    # headers
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "no host in 1.0": b"GET /v1/models HTTP/1.0\r\n\r\n",
    "two hosts": field(b"Host: localhost"),
    "two hosts, other case": field(b"hOsT: evil.example"),
    "empty host": host(b""),
    "host with userinfo": host(b"u@localhost"),
    "host with path": host(b"localhost/x"),
    "host list": host(b"localhost, evil.example"),
    "host with space": host(b"local host"),
    "host with bad port": host(b"localhost:http"),
    "host with huge port": host(b"localhost:99999"),
    "host with two ports": host(b"localhost:80:80"),
    "host with scheme": host(b"http://localhost"),
    "unknown host": host(b"evil.example"),
    "suffix host": host(b"localhost.evil.example"),
    "unknown address": host(b"169.254.169.254"),
    "space before colon": field(b"X-Test : a"),
    "no colon": field(b"X-Test"),
    "empty name": field(b": a"),
    "space in name": field(b"X Test: a"),
    "nul in name": field(b"X\x00Test: a"),
    "high byte in name": field(b"X-T\xe9st: a"),
    "brackets in name": field(b"X[Test]: a"),
    "obs-fold": field(b"X-Test: a\r\n b"),
    "obs-fold with tab": field(b"X-Test: a\r\n\tb"),
    "leading space on first header": b"GET /v1/models HTTP/1.1\r\n " + HOST + b"\r\n",
    "nul in value": field(b"X-Test: a\x00b"),
    "control in value": field(b"Authorization: Bearer lgw_secret\x01"),
    "delete in value": field(b"X-Test: a\x7f"),
    "bare cr in value": field(b"X-Test: a\rb"),
    "bare lf in value": field(b"X-Test: a\nX-Other: b"),
    "utf-8 in value": field("X-Test: é".encode()),
    "high byte in value": field(b"X-Test: \xe9"),
    "two authorizations": field(b"Authorization: Bearer a\r\nAuthorization: Bearer b"),
    "two api keys": field(b"X-Api-Key: a\r\nx-api-key: b"),
    "two content types": field(b"Content-Type: a/b\r\nContent-Type: c/d"),
    "two expects": _POST + b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    "underscore host": field(b"Transfer_Encoding: chunked"),
    "underscore length": field(b"content_length: 5"),
    "underscore key": field(b"X_Api_Key: a"),
    "underscore forwarded": field(b"X_Forwarded_User: root"),
    "nominated credential": field(b"Connection: close, X-Api-Key"),
    "nominated host": field(b"Connection: host"),
    "other expectation": field(b"Expect: tea"),
    "trailer announced": _POST + b"Trailer: X-Test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "65 headers": field(b"\r\n".join(b"X-%d: a" % n for n in range(64))),
    "one huge header": field(b"X-Test: " + b"a" * 8200),
    "many big headers": field(b"\r\n".join(b"X-%d: " % n + b"a" * 4000 for n in range(10))),
    "headers without end": b"GET /v1/models HTTP/1.1\r\n" + b"X-Test: aaaaaaaaaaaaaaa\r\n" * 5000,
    # framing
    "length with sign": _POST + b"Content-Length: +1\r\n\r\na",
    "negative length": _POST + b"Content-Length: -1\r\n\r\na",
    "length with zeros": _POST + b"Content-Length: 0200\r\n\r\n" + b"a" * 200,
    "length 00": _POST + b"Content-Length: 00\r\n\r\n",
    "hex length": _POST + b"Content-Length: 0x5\r\n\r\nhello",
    "length list": _POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "two lengths, same": _POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "two lengths": _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "empty length": _POST + b"Content-Length: \r\n\r\n",
    "length with space": _POST + b"Content-Length: 1 0\r\n\r\n0123456789",
    "length with underscore": _POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "length overflow": _POST + b"Content-Length: 18446744073709551616\r\n\r\n",
    "length 2^64+5": _POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "absurd length": _POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n",
    "full-width digits": _POST + "Content-Length: \uff15\r\n\r\nhello".encode(),
    "body on get": field(b"Content-Length: 5") + b"hello",
    "body on head": b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "body on delete": b"DELETE /v1/models HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "chunks on get": field(b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "length and chunks": _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "empty coding": _POST + b"Transfer-Encoding: \r\n\r\n",
    "xchunked": _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with vt": _POST + b"Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
    "vt chunked": _POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "quoted chunked": _POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "identity": _POST + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip, chunked": _POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "two codings": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings, one identity": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "comma chunked": _POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    "chunked;q": _POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "space coding": _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"POST /v1/x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # chunks
    "chunk size sign": _CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "chunk size minus": _CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "chunk size 0x": _CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size underscore": _CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "chunk size empty": _CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "chunk size space": _CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "chunk size trailing space": _CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "chunk size overflow": _CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size word": _CHUNKED + b"five\r\nhello\r\n0\r\n\r\n",
    "chunk too short": _CHUNKED + b"3\r\nhello\r\n0\r\n\r\n",
    "chunk too long": _CHUNKED + b"7\r\nhello\r\n0\r\n\r\n",
    "chunk bare lf": _CHUNKED + b"5\nhello\n0\n\n",
    "chunk data bare lf": _CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "chunk bare cr": _CHUNKED + b"5\rhello\r\n0\r\n\r\n",
    "chunk extension control": _CHUNKED + b"5;a=\x01\r\nhello\r\n0\r\n\r\n",
    "chunk extension lf": _CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "last chunk extension": _CHUNKED + b"5\r\nhello\r\n0;a=b\r\n\r\n",
    "trailer": _CHUNKED + b"5\r\nhello\r\n0\r\nX-Test: a\r\n\r\n",
    "trailer that looks like an end": _CHUNKED + b"5\r\nhello\r\n0\r\nX-Test: 0\r\n\r\n",
    "trailer length": _CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "chunked and a tail": _CHUNKED + b"5\r\nhello\r\n0\r\n\r\nGET /adm",
    "chunked and a request": _CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + GET,
}


async def refused(door: Door, data: bytes) -> bytes:
    """Send `data`, wait for the end of the connection, and check the one thing that may have come before it."""
    caller = await door.call()
    with suppress(ConnectionError):
        await caller.send(data)
    got = await caller.rest()
    if got:
        head, _, body = got.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0].startswith(b"HTTP/1.1 4"), lines[0]
        assert b"server: llm-gateway" in lines
        assert b"connection: close" in lines
        assert got.count(b"HTTP/1.1 ") == 1
        assert body in {b"", *(reason.value.encode() for reason in Reason)}
    return got


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


async def test_nothing_malformed_reaches_the_handler(quiet: pytest.LogCaptureFixture) -> None:
    assert len(MALFORMED) >= 80
    async with listening(limits=FAST) as door, asyncio.TaskGroup() as group:
        for data in MALFORMED.values():
            group.create_task(refused(door, data))
    assert door.seen == []
    assert not [record for record in quiet.records if record.levelno >= logging.WARNING or record.exc_info]


@pytest.mark.parametrize("name", sorted(MALFORMED))
async def test_malformed_requests_are_answered_4xx_or_closed(name: str) -> None:
    async with listening(limits=FAST) as door:
        await refused(door, MALFORMED[name])
        assert door.seen == []
        assert await _serves(door)


async def test_a_malformed_credential_is_neither_echoed_nor_logged(quiet: pytest.LogCaptureFixture) -> None:
    secret = b"Authorization: Bearer lgw_0123456789_topsecret"
    async with listening(limits=FAST) as door:
        for data in (field(secret + b"\x01"), field(secret + b"\r\n fold"), field(b"X Y: a\r\n" + secret), secret):
            assert b"topsecret" not in await refused(door, data + b"\r\n\r\n")
    assert "topsecret" not in quiet.text
    assert not [record for record in quiet.records if record.exc_info]


@pytest.mark.parametrize(
    ("name", "reason", "path"),
    [
        ("unknown host", "unknown_host", "/v1/models"),
        ("no host", "malformed_request", ""),
        ("host with path", "malformed_request", "/v1/models"),
        ("long line", "headers_too_large", ""),
        ("65 headers", "headers_too_large", ""),
        ("one huge header", "headers_too_large", ""),
        ("many big headers", "headers_too_large", ""),
        ("headers without end", "headers_too_large", ""),
        ("other expectation", "unsupported_expectation", "/v1/models"),
        ("dot segment", "malformed_request", ""),
    ],
)
async def test_the_renderer_learns_the_reason_and_the_checked_path_only(name: str, reason: str, path: str) -> None:
    async with listening(limits=FAST) as door:
        await refused(door, MALFORMED[name])
        assert door.refused == [(reason, path)]


_TOKENS = st.sampled_from(
    [
        b"GET ", b"POST ", b"/v1/models", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: localhost",
        b"Host:", b": ",
        b"Content-Length: 5", b"Content-Length: 0", b"Transfer-Encoding: chunked", b"\r\n\r\n", b"5\r\nhello\r\n",
        b"0\r\n\r\n", b"hello", b" ", b"\x00", b"\xff", b"Expect: 100-continue", b"Connection: Upgrade",
        b"Upgrade: websocket", b"Upgrade: h2c", GET,
    ]
)  # fmt: skip
_JUNK = st.one_of(
    st.binary(max_size=200),
    st.lists(_TOKENS, max_size=14).map(b"".join),
    st.tuples(st.just(GET), st.lists(_TOKENS, max_size=6).map(b"".join)).map(b"".join),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@example(_CHUNKED + b"5\r\nhello\r\n")
@example(GET + GET)
@given(data=_JUNK)
def test_any_bytes_are_answered_or_closed_and_the_listener_serves_on(data: bytes) -> None:
    async def scenario() -> None:
        fast = ListenerLimits(header_s=0.03, keepalive_s=0.03, body_s=0.05, body_grace_s=0.03, discard_s=0.03)
        async with listening(limits=fast) as door:
            caller = await door.call()
            with suppress(ConnectionError):
                await caller.send(data)
            got = await caller.rest()
            assert not got or got.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.1 100")), got
            assert b"HTTP/1.1 5" not in got
            assert await _serves(door)

    asyncio.run(scenario())


async def _serves(door: Door) -> bool:
    """Whether the listener answers; a caller that a busy machine holds up for longer than `header_s` is cut, and
    asks again."""
    async with asyncio.timeout(10):
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                return (await door.ask(GET)).status == HTTPStatus.OK
