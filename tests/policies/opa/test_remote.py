"""A real OPA that is not ours, with a token, over TLS with a private authority, over a UNIX socket; pushed to."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from policies.bundle import Bundle
from policies.engine import PolicyEngineDown, PolicyFault
from policies.opa.admin import _Client, push, pushed
from policies.opa.api import DataApi, Place
from policies.opa.remote import RemoteEngine

OPA = Path(sys.executable).parent / "opa"
TEXT = 'package gateway.authz\n\ndecision := {"allow": input.model in data.gwcfg.models, "by": helper}\n'
HELPER = 'package gateway.authz\n\nhelper := "one" if decision_like\n\ndecision_like if data.gateway.lib.yes\n'
LIB = "package gateway.lib\n\nyes := true\n"
BUNDLE = Bundle({"access.rego": TEXT, "helper.rego": HELPER, "lib.rego": LIB}, data={"models": ["tiny"]})
OTHER = Bundle({"access.rego": TEXT.replace("helper", '"other"')}, data={"models": ["big"]})
AUTHZ = """package system.authz

default allow := false

allow if input.identity == "t0ken"

allow if input.path == ["health"]
"""


class Server:
    """`opa run --server` with our arguments."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self.place = place
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(str(OPA), "run", "--server", "--skip-version-check", "--log-level", "error", *self._arguments),
            stdin=asyncio.subprocess.DEVNULL,
        )
        api = DataApi(self.place, timeout=1.0)
        async with asyncio.timeout(20):
            while not await api.healthy(1.0):
                await asyncio.sleep(0.01)
        await api.close()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def serving(place: Place, *arguments: str) -> AsyncIterator[Server]:
    server = Server(place, *arguments)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


@asynccontextmanager
async def asking(place: Place, bundle: Bundle | None) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine(place, bundle, timeout=5.0)
    await engine.start()
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(engine.run())
            yield engine
            keeper.cancel()
    finally:
        await engine.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        yield Path(folder)


def rules(folder: Path) -> str:
    (folder / "authz.rego").write_text(AUTHZ)
    return str(folder / "authz.rego")


def token_arguments(folder: Path, port: int) -> tuple[str, ...]:
    return ("--addr", f"127.0.0.1:{port}", "--authentication=token", "--authorization=basic", rules(folder))


async def test_a_policy_is_pushed_with_a_token_and_decides(tmp_path: Path) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}", "t0ken")
    async with serving(place, *token_arguments(tmp_path, port)), asking(place, BUNDLE) as engine:
        assert (engine.kind, engine.revision) == ("remote", BUNDLE.revision)
        assert await engine.evaluate(b'{"model":"tiny"}') == {"allow": True, "by": "one"}
        assert await pushed(place) == BUNDLE.revision


async def test_another_push_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}", "t0ken")
    async with serving(place, *token_arguments(tmp_path, port)):
        await push(place, BUNDLE)
        await push(place, OTHER)
        assert await pushed(place) == OTHER.revision
        api = DataApi(place, timeout=5.0)
        assert await api.evaluate(b'{"model":"tiny"}') == {"allow": False, "by": "other"}
        assert await api.evaluate(b'{"model":"big"}') == {"allow": True, "by": "other"}
        await api.close()


async def test_without_the_token_there_is_no_decision_and_no_push(tmp_path: Path) -> None:
    port = free_port()
    async with serving(Place(f"http://127.0.0.1:{port}"), *token_arguments(tmp_path, port)):
        for place in (Place(f"http://127.0.0.1:{port}"), Place(f"http://127.0.0.1:{port}", "wrong")):
            with pytest.raises(PolicyEngineDown):
                await push(place, BUNDLE)
            api = DataApi(place, timeout=5.0)
            with pytest.raises(PolicyEngineDown, match="401"):
                await api.evaluate(b"{}")
            await api.close()


async def test_an_opa_that_comes_back_empty_gets_its_policy_again(tmp_path: Path) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}", "t0ken")
    async with serving(place, *token_arguments(tmp_path, port)) as server, asking(place, BUNDLE) as engine:
        await server.kill()
        with pytest.raises(PolicyEngineDown):
            await engine.evaluate(b'{"model":"tiny"}')
        async with asyncio.timeout(20):
            while engine.ready:
                await asyncio.sleep(0.01)
        await server.start()
        async with asyncio.timeout(20):
            while not await allows(engine):
                pass


async def allows(engine: RemoteEngine) -> bool:
    try:
        return await engine.evaluate(b'{"model":"tiny"}') == {"allow": True, "by": "one"}
    except (PolicyEngineDown, PolicyFault):
        await asyncio.sleep(0)
        return False


async def test_an_opa_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}", "t0ken")
    engine = RemoteEngine(place, BUNDLE, timeout=0.1)
    await engine.start()
    with pytest.raises(PolicyEngineDown):
        await engine.evaluate(b'{"model":"tiny"}')
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(engine.run())
        async with serving(place, *token_arguments(tmp_path, port)), asyncio.timeout(20):
            while not await allows(engine):
                pass
        keeper.cancel()
    await engine.close()


async def test_an_opa_that_has_to_fetch_its_policy_and_cannot_decide_yet_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}")
    async with asking(place, None):
        assert "every request is denied until it answers" in caplog.text
    async with serving(place, "--addr", f"127.0.0.1:{port}"), asking(place, None):
        assert "every request is denied until it has the policy" in caplog.text


async def test_a_policy_that_opa_refuses_is_told(tmp_path: Path) -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}", "t0ken")
    async with serving(place, *token_arguments(tmp_path, port)):
        with pytest.raises(PolicyEngineDown, match=r"rego_parse_error|compil|pars"):
            await push(place, Bundle({"a.rego": "package gateway.authz\n\nx := := 1\n"}))
        assert await pushed(place) == ""


async def test_a_unix_socket(short_folder: Path) -> None:
    place = Place(f"unix://{short_folder}/s")
    async with serving(place, "--addr", f"unix://{short_folder}/s"), asking(place, BUNDLE) as engine:
        assert await engine.evaluate(b'{"model":"other"}') == {"allow": False, "by": "one"}


async def test_a_private_authority_is_trusted_only_if_it_is_named(tmp_path: Path) -> None:
    port = free_port()
    certificate, key = certify(tmp_path)
    trusting = Place(f"https://127.0.0.1:{port}", ca_file=certificate)
    trusting.check()
    arguments = ("--addr", f"127.0.0.1:{port}", "--tls-cert-file", str(certificate), "--tls-private-key-file", str(key))
    async with serving(trusting, *arguments), asking(trusting, BUNDLE) as engine:
        assert await engine.evaluate(b'{"model":"tiny"}') == {"allow": True, "by": "one"}
        api = DataApi(Place(f"https://127.0.0.1:{port}"), timeout=5.0)
        with pytest.raises(PolicyEngineDown, match="Certificate"):
            await api.evaluate(b"{}")
        await api.close()


def certify(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "opa")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "opa.pem", folder / "opa.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


@pytest.mark.parametrize(
    "url", ["opa:8181", "ftp://opa", "unix://s", "http://", "http://u:p@opa", "http://opa?x=1", "http://opa#x", ""]
)
def test_places_are_plain_addresses(url: str) -> None:
    with pytest.raises(ValueError, match=r"://|URL|socket"):
        Place(url)


def test_the_token_is_not_printed() -> None:
    assert "t0ken" not in repr(Place("http://opa", "t0ken"))


BLOCKING = """package gateway.authz

decision := {"allow": allow}

default allow := false

allow if not data.gateway.zlists.blocked[input.model]
"""
LISTS = 'package gateway.zlists\n\nblocked contains "secret"\n'
SECRET = b'{"model":"secret"}'


@asynccontextmanager
async def plain_opa() -> AsyncIterator[Place]:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}")
    async with serving(place, "--addr", f"127.0.0.1:{port}"):
        yield place


async def test_half_a_policy_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle({"access.rego": BLOCKING, "lists.rego": LISTS})
    answers: list[object] = []
    async with plain_opa() as place, asking(place, bundle) as engine:
        assert await engine.evaluate(SECRET) == {"allow": False}
        put = _Client.update_policy_from_string

        async def spy(client: _Client, text: str, name: str, *, rego_compat: bool) -> object:
            done = await put(client, text, name, rego_compat=rego_compat)
            try:
                answers.append(await engine.evaluate(SECRET))
            except PolicyFault:
                answers.append(None)
            return done

        monkeypatch.setattr(_Client, "update_policy_from_string", spy)
        await push(place, bundle)
    assert answers == [None, None, {"allow": False}]


async def test_no_file_of_a_policy_takes_the_place_of_what_marks_it_as_whole() -> None:
    bundle = Bundle({"access.rego": BLOCKING, "pushed.rego": LISTS})
    async with plain_opa() as place, asking(place, bundle) as engine:
        assert await engine.evaluate(SECRET) == {"allow": False}


async def test_modules_that_call_each_other_can_be_replaced() -> None:
    # Each calls the one before: of the 720 orders to take them out one by one, OPA refuses all but one.
    chain = {f"m{i}.rego": f"package gateway.m{i}\n\nf(x) := data.gateway.m{i - 1}.f(x)\n" for i in range(1, 6)}
    calls = Bundle({"m0.rego": "package gateway.m0\n\nf(x) := x\n", **chain})
    async with plain_opa() as place:
        await push(place, calls)
        await push(place, OTHER)
        assert await pushed(place) == OTHER.revision


async def test_what_another_gateway_pushed_is_no_answer_of_ours() -> None:
    tight = Bundle({"access.rego": BLOCKING, "lists.rego": LISTS})
    async with plain_opa() as place:
        ours = RemoteEngine(place, tight, timeout=5.0)
        await ours.start()
        await push(place, Bundle({"access.rego": BLOCKING}))
        with pytest.raises(PolicyEngineDown, match="another policy"):
            await ours.evaluate(SECRET)
        await ours.close()


async def test_one_that_fetches_its_policy_itself_is_looked_at_too() -> None:
    port = free_port()
    place = Place(f"http://127.0.0.1:{port}")
    async with asking(place, None) as engine:
        assert not engine.ready
        async with serving(place, "--addr", f"127.0.0.1:{port}"), asyncio.timeout(20):
            while not engine.ready:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            while engine.ready:
                await asyncio.sleep(0.01)
