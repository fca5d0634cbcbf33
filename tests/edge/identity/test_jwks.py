"""Fetching key sets: from a real loopback server with bad manners, and from a double with a clock."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web

from edge.identity.issuer import Issuer
from edge.identity.jwks import MAX_DOCUMENT, FetchError, FixedKeys, HttpFetcher, JwksCache, JwksTimes, keys_of
from edge.identity.state import StateError
from edge.tls.authority import new_authority
from edge.tls.context import load, server_context
from edge.tls.names import Names
from tests.edge.identity.fixtures import ISSUER, Clock, jwk, jwks, public_pem, rsa_key

DOCUMENT = jwks(jwk(rsa_key(), kid="r1"))
NEXT_DOCUMENT = jwks(jwk(rsa_key(), kid="r2"))


# --- the fetcher, against a real server ---


@asynccontextmanager
async def serving(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A loopback server that gives `answer` to everything; yields its URL."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        return await answer(request)

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    finally:
        await runner.cleanup()


async def test_a_document_is_fetched_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        response = web.Response(body=DOCUMENT)
        response.set_cookie("session", "1")
        return response

    async with serving(answer) as url:
        fetch = HttpFetcher()
        assert [await fetch(url), await fetch(url)] == [DOCUMENT, DOCUMENT]
    assert [request.headers.get("cookie") for request in seen] == [None, None]
    assert seen[0].headers["accept-encoding"] == "identity"


async def test_a_redirect_is_not_followed() -> None:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.Response(status=302, headers={"location": "/elsewhere"})

    async with serving(answer) as url:
        with pytest.raises(FetchError, match="status 302"):
            await HttpFetcher()(url)
    assert paths == ["/jwks.json"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_document_that_is_too_large_is_cut_off(chunked: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if not chunked:
            return web.Response(body=b" " * (MAX_DOCUMENT + 1))
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:  # for ever: only the fetcher's limit ends it
                await response.write(b" " * 65_536)
        return response

    async with serving(answer) as url:
        with pytest.raises(FetchError, match="larger"):
            await HttpFetcher()(url)


async def test_one_of_exactly_the_limit_is_taken() -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b" " * MAX_DOCUMENT)

    async with serving(answer) as url:
        assert len(await HttpFetcher()(url)) == MAX_DOCUMENT


async def test_a_slow_server_is_given_up() -> None:
    release = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response(body=DOCUMENT)

    async with serving(answer) as url:
        with pytest.raises(FetchError, match="timed out"):
            await HttpFetcher(timeout=0.2)(url)
        release.set()


async def test_an_encoded_answer_an_error_and_a_closed_port_are_refused() -> None:
    async def encoded(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"content-encoding": "gzip"})

    async def error(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, body=DOCUMENT)

    async with serving(encoded) as url:
        with pytest.raises(FetchError, match="encoded"):
            await HttpFetcher()(url)
    async with serving(error) as url:
        with pytest.raises(FetchError, match="500"):
            await HttpFetcher()(url)
    with pytest.raises(FetchError, match="Connect"):
        await HttpFetcher()(url)


async def test_the_systems_authorities_are_trusted_as_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not those that aiohttp knows, which are none in a gateway (edge/cli/up.py)."""
    now = datetime.now(UTC)
    names = Names.of(["localhost"], [ip_address("127.0.0.1")])
    authority = new_authority("corp", names, now)
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    served = server_context()
    load(served, authority.issue(names, now), tmp_path)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=DOCUMENT)

    async with serving(answer, served) as url:
        with pytest.raises(FetchError, match="Certificate"):
            await HttpFetcher()(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert await HttpFetcher()(url) == DOCUMENT


async def test_plain_http_to_elsewhere_is_never_tried() -> None:
    with pytest.raises(ValueError, match="https"):
        await HttpFetcher()("http://idp.example/jwks.json")


# --- the cache, with a double and a clock ---


class Endpoint:
    """A fetcher that answers from memory; `gate` holds it back."""

    def __init__(self, document: bytes | None = DOCUMENT) -> None:
        self.document = document
        self.fetches = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, url: str) -> bytes:
        assert url == "https://idp.example/jwks.json"
        self.fetches += 1
        await self.gate.wait()
        if self.document is None:
            raise FetchError("down")
        return self.document


class Rig:
    """A cache with its endpoint and clock."""

    def __init__(self, endpoint: Endpoint, times: JwksTimes) -> None:
        self.endpoint = endpoint
        self.clock = Clock(0.0)
        self.cache = JwksCache("https://idp.example/jwks.json", endpoint, now=self.clock, times=times)

    async def knows(self, kid: str) -> bool:
        return await self.cache.key(kid, "RS256") is not None


@asynccontextmanager
async def running(endpoint: Endpoint, **times: float) -> AsyncIterator[Rig]:
    rig = Rig(endpoint, replace(JwksTimes(), **times))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(rig.cache.run())
        yield rig
        task.cancel()


async def test_the_first_requests_wait_for_one_fetch() -> None:
    endpoint = Endpoint()
    endpoint.gate.clear()
    async with running(endpoint) as rig, asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(rig.knows("r1")) for _ in range(20)]
        await until(lambda: endpoint.fetches == 1)
        endpoint.gate.set()
        assert all(await asyncio.gather(*waiting))
        assert endpoint.fetches == 1


async def test_a_caller_that_leaves_aborts_nothing_for_the_others() -> None:
    endpoint = Endpoint()
    endpoint.gate.clear()
    async with running(endpoint) as rig, asyncio.TaskGroup() as tasks:
        leaver, stayer = tasks.create_task(rig.knows("r1")), tasks.create_task(rig.knows("r1"))
        await until(lambda: endpoint.fetches == 1)
        leaver.cancel()
        endpoint.gate.set()
        assert await stayer
        assert endpoint.fetches == 1


async def test_an_unknown_kid_refreshes_at_most_once_a_minute() -> None:
    async with running(Endpoint()) as rig:
        assert await rig.knows("r1")
        for number in range(50):
            assert not await rig.knows(f"made up {number}")
        assert rig.endpoint.fetches == 1
        rig.clock.at = 59.9
        assert not await rig.knows("r2")
        rig.endpoint.document = NEXT_DOCUMENT
        rig.clock.at = 60.0
        assert await rig.knows("r2")
        assert not await rig.knows("r1"), "a key that was taken out is gone"
        for number in range(50):
            assert not await rig.knows(f"made up {number}")
        assert rig.endpoint.fetches == 2


async def test_in_an_outage_old_keys_serve_six_hours_and_then_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with running(Endpoint(), retry=0.001, gap=60) as rig:
        assert await rig.knows("r1")
        rig.endpoint.document = None
        rig.clock.at = 60.0
        assert not await rig.knows("r2")
        await until(lambda: rig.endpoint.fetches > 3)
        rig.clock.at = 6 * 3600.0
        assert await rig.knows("r1")
        rig.clock.at += 1
        assert not await rig.knows("r1")
        rig.endpoint.document = DOCUMENT
        await until_known(rig, "r1")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1, "one line per outage"


async def test_a_broken_document_keeps_the_old_keys() -> None:
    async with running(Endpoint()) as rig:
        assert await rig.knows("r1")
        rig.endpoint.document = b"<html>maintenance</html>"
        rig.clock.at = 60.0
        assert not await rig.knows("r2")
        assert await rig.knows("r1")


async def test_a_fault_in_the_fetcher_does_not_end_the_refreshing() -> None:
    class Faulty(Endpoint):
        async def __call__(self, url: str) -> bytes:
            if not self.fetches:
                self.fetches += 1
                raise ZeroDivisionError
            return await super().__call__(url)

    async with running(Faulty(), retry=0.001) as rig:
        await until_known(rig, "r1")


async def test_keys_are_refreshed_before_they_get_old() -> None:
    async with running(Endpoint(), fresh=0.01) as rig:
        await until(lambda: rig.endpoint.fetches > 3)


async def test_without_the_runner_nothing_verifies_and_nobody_waits_for_ever() -> None:
    rig = Rig(Endpoint(), JwksTimes(wait=0.05))
    assert not await rig.knows("r1")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that no event announces, with a deadline."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.002)


async def until_known(rig: Rig, kid: str) -> None:
    deadline = time.monotonic() + 10
    while not await rig.knows(kid):
        assert time.monotonic() < deadline, "the key never came"
        await asyncio.sleep(0.002)


# --- where an issuer's keys come from ---


async def test_keys_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    issuer = Issuer("corp", "https://idp.example", ("x",), key_file=path)
    with pytest.raises(StateError, match="cannot read"):
        keys_of(issuer, Endpoint())
    path.write_bytes(b"nonsense")
    with pytest.raises(StateError, match=r"cannot be used: neither[^\n]*$"):
        keys_of(issuer, Endpoint())
    path.write_bytes(public_pem(rsa_key()))
    keys = keys_of(issuer, Endpoint())
    assert isinstance(keys, FixedKeys)
    await keys.run()
    assert await keys.key("any", "RS256") is not None
    assert isinstance(keys_of(ISSUER, Endpoint()), JwksCache)
