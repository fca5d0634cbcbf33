"""Discovery finds each kind by its answers, whoever else might listen on that port."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from engines.contract import Engine, Kind
from engines.discovery import Place, alive, discover, host_is_named, listed, places, recognised
from engines.transport import HttpTransport
from policies.errors import UpstreamError
from tests.engines.fakes import Fake
from tests.engines.loopback import Peer, always, reply, serving

FOUND = [kind for kind in Kind if kind is not Kind.OPENAI]


@pytest.mark.parametrize("kind", FOUND)
async def test_an_engine_is_found_as_what_it_is(transport: HttpTransport, kind: Kind) -> None:
    # LM Studio has no answer of its own, only a port of its own: a list of models on it must do.
    candidates = [k for k in FOUND if k is not Kind.LM_STUDIO or kind is k]
    async with Fake(kind).serving() as server:
        found = await discover(transport, [Place(k, server.url) for k in candidates])
    assert [(engine.name, engine.kind, engine.url) for engine in found] == [(kind.value, kind, server.url)]


@pytest.mark.alone
async def test_all_at_once_and_quickly(transport: HttpTransport) -> None:
    async with AsyncExitStack() as stack:
        servers = [(kind, await stack.enter_async_context(Fake(kind).serving())) for kind in FOUND]
        hanging = await stack.enter_async_context(serving(Peer.gone))
        where = [Place(kind, server.url) for kind, server in servers]
        began = asyncio.get_running_loop().time()
        found = await discover(transport, [Place(Kind.VLLM, hanging.url), *where], deadline=0.4)
        assert asyncio.get_running_loop().time() - began < 0.9
    assert [engine.kind for engine in found] == FOUND


async def test_nothing_there(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        gone = server.url
    assert await discover(transport, [Place(kind, gone) for kind in Kind]) == []


async def test_a_stranger_is_not_an_engine(transport: HttpTransport) -> None:
    for answer in (reply(b"<html>"), reply(b"{}"), reply(b"", "401 Unauthorized"), b"SSH-2.0\r\n\r\n"):
        async with serving(always(answer)) as server:
            assert await discover(transport, [Place(kind, server.url) for kind in Kind]) == []


async def test_names_and_places_in_use(transport: HttpTransport) -> None:
    async with Fake(Kind.OLLAMA).serving() as one, Fake(Kind.OLLAMA).serving() as two:
        first = Engine("ollama", Kind.OLLAMA, one.url, 1)
        found = await discover(
            transport,
            [Place(Kind.OLLAMA, one.url), Place(Kind.OLLAMA, two.url), Place(Kind.OLLAMA, two.url)],
            taken=[first],
        )
        assert [engine.name for engine in found] == ["ollama-" + two.url.rpartition(":")[2]]
        assert one.seen == []


async def test_probes_carry_nothing(transport: HttpTransport) -> None:
    async with Fake(Kind.LLAMA_SERVER).serving() as server:
        assert await recognised(transport, server.engine(Kind.LLAMA_SERVER))
    head = server.seen[0].lower()
    assert head.startswith(b"get /health ")
    assert head.endswith(b"\r\n\r\n")
    assert b"authorization" not in head


async def test_a_configured_engine_need_only_answer(transport: HttpTransport) -> None:
    async with Fake(Kind.MLX_LM).serving() as server:
        engine = server.engine(Kind.LLAMA_SERVER)
        assert await alive(transport, engine)
        assert not await recognised(transport, engine)
    assert not await alive(transport, engine)


async def test_listing(transport: HttpTransport) -> None:
    async with Fake(Kind.OLLAMA, ["A:latest", "x:cloud"]).serving() as server:
        assert [m.name for m in await listed(transport, server.engine(Kind.OLLAMA))] == ["a"]


@pytest.mark.parametrize("answer", [reply(b"[]"), reply(b"no"), reply(b"{}", "500 No"), b"HTTP/1.1 200 OK\r\n"])
async def test_what_is_no_listing(transport: HttpTransport, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)

    async with serving(script) as server:
        with pytest.raises(UpstreamError):
            await listed(transport, server.engine(Kind.VLLM))


async def test_a_pinned_mlx_does_without_a_listing(transport: HttpTransport) -> None:
    """It hangs up on /v1/models when there is no Hugging Face cache."""

    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as server:
        engine = Engine("mlx", Kind.MLX_LM, server.url, 1, model="mlx-community/X")
        assert [m.id for m in await listed(transport, engine)] == ["mlx-community/X"]


def test_default_places() -> None:
    assert {place.url.rpartition(":")[2] for place in places()} == {"8080", "8000", "11434", "1234", "12434"}
    assert all(place.url.startswith("http://127.0.0.1:") for place in places())
    assert {place.url for place in places(container=True)} - {place.url for place in places()} == {
        "http://model-runner.docker.internal"
    }


def test_places_on_the_host_of_a_container() -> None:
    added = {place.url for place in places(container=True, host=True)} - {place.url for place in places(container=True)}
    assert {url.rpartition(":")[2] for url in added} == {"8080", "8000", "11434", "1234"}, (
        "Model Runner has its own name"
    )
    assert all(url.startswith("http://host.docker.internal:") for url in added)


def test_the_host_has_a_name_where_the_file_says_so(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    assert not host_is_named(file)
    for text, named in (
        ("127.0.0.1 localhost\n172.17.0.1\thost.docker.internal\n", True),
        ("172.17.0.1 host host.docker.internal # ours\n", True),
        ("127.0.0.1 localhost # host.docker.internal\n172.17.0.1 xhost.docker.internal\n\n", False),
    ):
        file.write_text(text)
        assert host_is_named(file) is named
