"""A context that changes its certificate while it serves; handshakes are real ones, in memory."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from edge.tls.context import load, server_context
from edge.tls.errors import TlsError
from edge.tls.keeper import Keeper
from edge.tls.leaf import Leaf, read_leaf
from edge.tls.names import Names
from tests.edge.tls.certificates import DAY, NOW, STUDIO, authority, self_signed

SIGNER = authority()
PATIENCE = 10.0


def leaf(*names: str, now: datetime = NOW) -> Leaf:
    return read_leaf(SIGNER.issue(Names.of(names or STUDIO.dns, STUDIO.addresses), now))


def mismatched() -> Leaf:
    """A certificate with another one's key."""
    certificate, _ = self_signed("a", start=NOW, end=NOW + DAY)
    _, key = self_signed("b", start=NOW, end=NOW + DAY)
    return read_leaf(certificate + key)


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """The client's end of a connection; ssl.SSLError if there is none."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = (client or client_context()).wrap_bio(to_client, to_server)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    open_ends = [here, there]
    while open_ends:
        for end in list(open_ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_ends.remove(end)
    return here


def served(server: ssl.SSLContext) -> x509.Certificate:
    shown = shake_hands(server).getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


class Script:
    """A source that answers what it is told to."""

    def __init__(self, first: Leaf | TlsError) -> None:
        self.now_first = first
        self.answers: list[Leaf | TlsError] = []
        self.asked = 0

    def first(self, now: datetime) -> Leaf:
        return _given(self.now_first)

    def next(self, now: datetime) -> Leaf | None:
        self.asked += 1
        return _given(self.answers.pop(0)) if self.answers else None


def _given(answer: Leaf | TlsError) -> Leaf:
    if isinstance(answer, TlsError):
        raise answer
    return answer


@asynccontextmanager
async def watching(keeper: Keeper, told: Callable[[Names], None] = lambda _: None) -> AsyncIterator[None]:
    watch = asyncio.ensure_future(keeper.run(told))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait({watch})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


def keeper_of(source: Script, scratch: Path, now: datetime = NOW) -> Keeper:
    return Keeper("lan", source, scratch, now=now.timestamp, poll=0.001)


async def test_a_new_certificate_is_served_from_the_next_handshake_on(tmp_path: Path) -> None:
    first, second = leaf("one.local"), leaf("two.local")
    source, told = Script(first), list[Names]()
    keeper = keeper_of(source, tmp_path)
    assert keeper.open() == first.names
    assert served(keeper.context) == first.certificate
    source.answers.append(second)
    async with watching(keeper, told.append):
        await until(lambda: bool(told))
    assert told == [second.names]
    assert served(keeper.context) == second.certificate


async def test_a_broken_pair_is_refused_the_old_one_kept_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, last = leaf("one.local"), leaf("two.local")
    source = Script(first)
    keeper = keeper_of(source, tmp_path)
    keeper.open()
    source.answers += [mismatched(), mismatched(), TlsError("gone", "come back"), last]
    told = list[Names]()
    async with watching(keeper, told.append):
        await until(lambda: len(source.answers) < 3)
        assert served(keeper.context) == first.certificate
        await until(lambda: bool(told))
    assert served(keeper.context) == last.certificate
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "goes on with its old certificate" in warnings[0]
    assert "key values mismatch" in warnings[0]
    assert "gone: come back" in warnings[1]


async def test_a_disk_that_was_full_is_tried_again(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = Script(leaf("one.local"))
    keeper = keeper_of(source, scratch)
    keeper.open()
    second = leaf("two.local")
    scratch.rmdir()
    source.answers.append(second)
    told = list[Names]()
    async with watching(keeper, told.append):
        await until(lambda: source.asked > 2)
        assert not told
        scratch.mkdir()
        await until(lambda: bool(told))
    assert served(keeper.context) == second.certificate


@pytest.mark.parametrize("pair", ["mismatch", "no key", "encrypted key"])
def test_a_pair_that_cannot_be_used_ends_the_start_in_one_line(tmp_path: Path, pair: str) -> None:
    certificate, _ = self_signed("a", start=NOW, end=NOW + DAY)
    encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj\n-----END ENCRYPTED PRIVATE KEY-----\n"
    bad = {
        "mismatch": mismatched(),
        "no key": read_leaf(certificate),
        "encrypted key": read_leaf(certificate + encrypted),
    }[pair]
    with pytest.raises(TlsError, match="listener lan: OpenSSL does not take") as error:
        keeper_of(Script(bad), tmp_path).open()
    assert "\n" not in str(error.value)


async def test_the_end_of_a_certificate_that_nobody_renews_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = Script(leaf())
    keeper = keeper_of(source, tmp_path, NOW + 85 * DAY)
    keeper.open()
    async with watching(keeper):
        await until(lambda: source.asked > 3)
    assert [record.message for record in caplog.records] == ["listener lan: its certificate ends on 2027-02-19"]


class TestProfile:
    """Mozilla's intermediate one."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> ssl.SSLContext:
        context = server_context()
        load(context, leaf().pem, tmp_path)
        return context

    def test_no_key_is_left_behind(self, server: ssl.SSLContext, tmp_path: Path) -> None:
        assert list(tmp_path.iterdir()) == []

    def test_tls_1_3_and_http_1_1(self, server: ssl.SSLContext) -> None:
        client = client_context()
        client.set_alpn_protocols(["h2", "http/1.1"])
        connection = shake_hands(server, client)
        assert (connection.version(), connection.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        assert connection.compression() is None

    def test_tls_1_2_with_forward_secrecy_only(self, server: ssl.SSLContext) -> None:
        client = client_context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = shake_hands(server, client)
        cipher = connection.cipher()
        assert connection.version() == "TLSv1.2"
        assert cipher is not None
        assert cipher[0].startswith("ECDHE-ECDSA-")
        for weak in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"):
            client.set_ciphers(f"{weak}:@SECLEVEL=0")
            with pytest.raises(ssl.SSLError):
                shake_hands(server, client)

    @pytest.mark.parametrize(("group", "taken"), [("P-256", True), ("X25519:P-256", True), ("ffdhe8192", False)])
    async def test_no_exchange_is_a_lever(
        self, server: ssl.SSLContext, group: str, taken: bool, tmp_path: Path
    ) -> None:
        """One over 8,192 bits would stop the event loop for a tenth of a second, whenever a stranger asks for it."""
        listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=server)
        port = listening.sockets[0].getsockname()[1]
        async with listening:
            client = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-groups", group, "-brief"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await client.communicate()
        assert (b"prime256v1" in said) is taken, said

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_nothing_older(self, server: ssl.SSLContext) -> None:
        client = client_context()
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            shake_hands(server, client)

    def test_the_client_chooses_the_cipher(self, server: ssl.SSLContext) -> None:
        client = client_context()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        for wanted in ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"):
            client.set_ciphers(f"{wanted}:ECDHE-ECDSA-AES128-GCM-SHA256")
            cipher = shake_hands(server, client).cipher()
            assert cipher is not None
            assert cipher[0] == wanted

    def test_no_tickets(self, server: ssl.SSLContext) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            client = client_context()
            client.minimum_version = client.maximum_version = version
            session = shake_hands(server, client).session
            assert session is None or not session.has_ticket
