"""A connection to an engine, given its bytes one block after the other: what it makes of them, and when it is done."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.tls import context
from edge.tls.authority import new_authority
from edge.tls.names import Names
from engines.transport import HttpTransport
from engines.wire import FIELD, FIELDS, Head, Wire
from policies.errors import EngineBroke, EngineUnreachable, UpstreamError
from tests.engines.asking import ASK, CHUNKED, ask
from tests.engines.loopback import Peer, always, reply, serving
from tests.engines.permits import permit
from tests.engines.waiting import until

_SOON = 5.0


class Line(asyncio.Transport):
    """What a wire does to its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.paused = self.gone = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.gone = True

    def is_closing(self) -> bool:
        return self.gone

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@dataclass(slots=True)
class Came:
    """What was read of one answer."""

    head: Head | None = None
    body: bytes = b""
    error: UpstreamError | None = None
    reusable: bool = False
    lost: list[Wire] = field(default_factory=list)


async def _read(blocks: Sequence[bytes], *, closes: bool) -> Came:
    came, line = Came(), Line()
    wire = Wire(came.lost.append)
    wire.connection_made(line)
    incoming = wire.ask(b"POST / HTTP/1.1\r\n\r\n", b"")
    for block in blocks:
        if not line.gone:
            wire.data_received(block)
    if closes or line.gone:
        wire.connection_lost(None)
    until = asyncio.get_running_loop().time()
    try:
        came.head = await wire.head(incoming, until)
        while came.head is not None and (block_ := await wire.block(incoming, until)):
            came.body += block_
    except UpstreamError as error:
        came.error = error
    came.reusable = wire.reusable
    return came


def read(*blocks: bytes, closes: bool = True) -> Came:
    return asyncio.run(_read(blocks, closes=closes))


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[begin:end] for begin, end in itertools.pairwise(marks)]


_NAME = st.text("abcdefghijklmnopqrstuvwxyzABC-", min_size=1, max_size=12).filter(
    lambda name: (
        name.lower() not in {"connection", "content-length", "transfer-encoding", "upgrade", "te", "proxy-connection"}
    )
)
_VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
_FIELDS = st.lists(st.tuples(_NAME, _VALUE), max_size=6)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, dict[str, str], bytes, bool]:
    """An answer that is right: its bytes, its fields, its body, and whether its end can be seen."""
    fields, pieces = draw(_FIELDS), draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    body, how = b"".join(pieces), draw(st.sampled_from(["length", "chunked", "close"]))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    expected: dict[str, str] = {}
    for name, value in fields:
        low = name.lower()
        expected[low] = f"{expected[low]}, {value}" if low in expected else value
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * draw(st.integers(0, 2))
    match how:
        case "length":
            framing, sent = f"Content-Length: {len(body)}\r\n", body
            expected["content-length"] = str(len(body))
        case "chunked":
            framing = "Transfer-Encoding: chunked\r\n"
            sent = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            expected["transfer-encoding"] = "chunked"
        case _:
            framing, sent = "", body
    return hint + f"HTTP/1.1 200 OK\r\n{lines}{framing}\r\n".encode() + sent, expected, body, how != "close"


@given(answers(), st.lists(st.integers(0, 4000), max_size=12))
def test_however_an_answer_is_cut_it_is_the_same(
    answer: tuple[bytes, dict[str, str], bytes, bool], places: list[int]
) -> None:
    data, fields, body, ends = answer
    came = read(*cut(data, places), closes=not ends)
    assert came.error is None
    assert came.head == Head(200, fields)
    assert came.body == body
    assert came.reusable == ends


@given(answers(), st.data())
def test_whatever_comes_is_an_answer_or_the_engines_fault(
    answer: tuple[bytes, dict[str, str], bytes, bool], data: st.DataObject
) -> None:
    raw = bytearray(answer[0])
    for place, octet in data.draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4)):
        raw[place % len(raw)] = octet
    came = read(*cut(bytes(raw), data.draw(st.lists(st.integers(0, 4000), max_size=4))))
    assert came.error is None or isinstance(came.error, EngineBroke | EngineUnreachable)
    assert len(came.lost) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n folded\r\n\r\na",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 099 Below\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X:\r\n" * (FIELDS + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a" * FIELD + b": x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 18),
        b"HTTP/1.1 104 Odd\r\nContent-Length: 3\r\n\r\nabc" + reply(b"Z"),
        b"HTTP/1.1 104 Odd\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n" + reply(b"Z"),
        CHUNKED + b"1;" + b"x" * (1 << 18),
        CHUNKED + b"1\r\na\r\n0\r\n" + b"X: a\r\n" * (FIELDS + 1) + b"\r\n",
        CHUNKED + b"1\r\na\r\n0\r\nX: " + b"a" * (1 << 18),
    ],
)
def test_what_no_engine_means_is_refused(answer: bytes) -> None:
    for size in (7, 1 << 16):
        came = read(*(answer[at : at + size] for at in range(0, len(answer), size)), closes=False)
        assert isinstance(came.error, EngineBroke)
        assert not came.reusable


def test_empty_fields_stay_apart() -> None:
    came = read(b"HTTP/1.1 200 OK\r\nX:", b"\r\nContent-Length: 1\r\n\r\na", closes=False)
    assert came.head == Head(200, {"x": "", "content-length": "1"})


def test_space_around_a_value_is_not_of_it() -> None:
    came = read(b"HTTP/1.1 200 OK\r\nRetry-After:\t 5 \r\nTransfer-Encoding: chunked \r\n\r\n0\r\n\r\n", closes=False)
    assert came.head == Head(200, {"retry-after": "5", "transfer-encoding": "chunked"})


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"0\r\nConnection: close\r\n\r\n",
        CHUNKED + b"0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_after_what_may_mean_two_things_the_connection_is_not_used_again(answer: bytes) -> None:
    came = read(answer, closes=False)
    assert (came.error, came.body, came.reusable) == (None, b"", False)


def test_what_came_before_the_break_is_given_first() -> None:
    came = read(CHUNKED, b"3\r\none\r\n", b"zz\r\n")
    assert came.body == b"one"
    assert isinstance(came.error, EngineBroke)


@pytest.mark.parametrize("behind", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\0"])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_behind_an_answer_end_the_connection_and_not_the_answer(behind: bytes, *, together: bool) -> None:
    answer = reply(b"one")
    came = read(answer + behind) if together else read(answer, behind)
    assert (came.body, came.error) == (b"one", None)
    assert not came.reusable


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_an_engine_that_wants_to_close_may(answer: bytes) -> None:
    came = read(answer)
    assert came.error is None
    assert not came.reusable


def test_bodyless_answers_end_with_their_head() -> None:
    came = read(b"HTTP/1.1 204 No Content\r\n\r\n", closes=False)
    assert (came.body, came.reusable) == (b"", True)


async def test_an_engine_faster_than_its_reader_has_to_wait() -> None:
    block, written = b"x" * (1 << 16), 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.say(CHUNKED)
        with suppress(ConnectionError):
            while True:
                await peer.say(b"%x\r\n%s\r\n" % (len(block), block))
                written += len(block)

    transport = HttpTransport()
    async with serving(script) as server, transport.send(permit(), server.engine(), ASK) as answer:
        blocks, read_ = answer.chunks(), 0
        await anext(blocks)
        (wire,) = transport._pool._open
        line = wire._transport
        assert line is not None
        await until(lambda: not line.is_reading())
        seen = written
        assert seen < 64 << 20
        while read_ <= seen:  # and then everything comes, in order
            read_ += len(await anext(blocks))
    await transport.close()


async def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    names = Names.of(["localhost"], [ip_address("127.0.0.1")])
    trusted = new_authority("studio", names, now)
    (tmp_path / "ca.pem").write_bytes(trusted.certificate_pem)
    served = context.server_context()
    context.load(served, trusted.issue(names, now), tmp_path)
    server = await asyncio.start_server(_answering, "127.0.0.1", 0, ssl=served)
    async with serving(always(reply())) as plain:
        engine = plain.engine()
    port = server.sockets[0].getsockname()[1]
    engine = type(engine)("e", engine.kind, f"https://127.0.0.1:{port}", 1)
    stranger = HttpTransport()
    with pytest.raises(EngineUnreachable) as caught:
        await ask(stranger, engine)
    assert caught.value.detail.startswith(ssl.SSLCertVerificationError.__name__)
    await stranger.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    friend = HttpTransport()
    assert await ask(friend, engine) == b"behind TLS"
    await friend.close()
    server.close()


async def _answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(b"behind TLS"))
        await writer.drain()
    writer.close()
