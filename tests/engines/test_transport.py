"""What the transport sends, to whom, and what it accepts. The server is raw asyncio: it sends exact bytes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target, UpstreamRequest
from engines.transport import HttpTransport
from policies.call import Operation
from policies.decision import Permit
from policies.errors import EngineBroke, EngineTimeout
from tests.engines.asking import ASK, CHUNKED, ask, failure
from tests.engines.loopback import Peer, always, reply, serving
from tests.engines.permits import deleting, permit

# what is sent


async def test_sends_exactly_our_headers(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        await ask(transport, server.engine())
    head, _, body = server.seen[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/chat/completions http/1.1"
    names = {line.partition(":")[0] for line in lines[1:]}
    assert names == {"host", "user-agent", "accept-encoding", "content-type", "content-length"}
    assert "user-agent: llm-gateway" in lines
    assert "accept-encoding: identity" in lines
    assert body == b'{"a":1}'


async def test_sends_the_engines_own_key(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        await ask(transport, Engine("e", Kind.OPENAI, server.url, 1, api_key="sk-engine"))
    assert b"\r\nauthorization: Bearer sk-engine\r\n" in server.seen[0]


@pytest.mark.parametrize("base", ["", "/v1", "/v1/", "/engines/v1"])
async def test_a_base_that_ends_in_the_api_root_is_not_doubled(transport: HttpTransport, base: str) -> None:
    async with serving(always(reply())) as server:
        await ask(transport, Engine("e", Kind.OPENAI, server.url + base, 1))
    assert server.seen[0].startswith(b"POST /v1/chat/completions ")


async def test_a_base_path_is_kept_as_it_is(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        await ask(transport, Engine("e", Kind.OPENAI, server.url + "/a%2Fb/../c", 1))
    assert server.seen[0].startswith(b"POST /a%2Fb/../c/v1/chat/completions ")


async def test_a_large_body_arrives_whole(transport: HttpTransport) -> None:
    body = b'{"x":"' + b"y" * (3 << 20) + b'"}'
    async with serving(always(reply())) as server:
        await ask(transport, server.engine(), UpstreamRequest("POST", ASK.path, body))
    assert server.seen[0].partition(b"\r\n\r\n")[2] == body


async def test_unix_sockets(transport: HttpTransport, tmp_path: Path) -> None:
    async with serving(always(reply(b"hello")), path=str(tmp_path / "e.sock")) as server:
        assert await ask(transport, server.engine()) == b"hello"
    assert b"\r\nHost: localhost\r\n" in server.seen[0]


async def test_ollama_is_asked_as_localhost(transport: HttpTransport) -> None:
    async with (
        serving(always(reply())) as server,
        transport.probe(server.engine(Kind.OLLAMA), adapter_for(Kind.OLLAMA).probe) as answer,
    ):
        await answer.read(100)
    assert server.seen[0].lower().count(b"\r\nhost:") == 1
    assert b"\r\nhost: localhost\r\n" in server.seen[0].lower()


async def test_the_environments_proxy_is_not_used(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serving(always(reply(b"direct"))) as server:
        assert await ask(transport, server.engine()) == b"direct"


# who may send what


async def test_nothing_is_sent_without_a_permit(transport: HttpTransport) -> None:
    async with serving(always(reply())) as server:
        with pytest.raises(TypeError):
            transport.send(cast("Permit", object()), server.engine(), ASK)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("kind", "request_"),
    [
        (Kind.OPENAI, UpstreamRequest("POST", "/v1/embeddings")),  # a path of another operation than permitted
        (Kind.OPENAI, UpstreamRequest("GET", "/v1/chat/completions")),
        (Kind.OPENAI, UpstreamRequest("POST", "/v1/chat/completions?x=1")),
        (Kind.OLLAMA, UpstreamRequest("POST", "/api/delete")),
        (Kind.VLLM, UpstreamRequest("POST", "/invocations")),
        (Kind.DOCKER_MODEL_RUNNER, UpstreamRequest("POST", "/v1/chat/completions")),
        (Kind.MLX_LM, UpstreamRequest("POST", "/extras/tokenize/count")),
    ],
)
async def test_only_the_permitted_path_of_the_engines_kind(
    transport: HttpTransport, kind: Kind, request_: UpstreamRequest
) -> None:
    with pytest.raises(ValueError):
        transport.send(permit(), Engine("e", kind, "http://127.0.0.1:9", 1), request_)


async def test_a_model_is_deleted_with_a_permit_for_that(transport: HttpTransport) -> None:
    async with serving(always(reply(b"[]"))) as server:
        target = Target(replace(server.engine(), kind=Kind.DOCKER_MODEL_RUNNER), Model("m", "ai/M:latest"))
        async with transport.delete(deleting(), target) as got:
            assert (got.status, await got.read(10)) == (200, b"[]")
    (asked,) = server.seen
    assert asked.startswith(b"DELETE /models/ai/M:latest HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("permit_", "kind", "error"),
    [
        (cast("Permit", object()), Kind.OLLAMA, TypeError),
        (permit(), Kind.OLLAMA, ValueError),
        (deleting(Operation.MODELS_PULL), Kind.OLLAMA, ValueError),
        (deleting(model="other"), Kind.OLLAMA, ValueError),
        (deleting(), Kind.LLAMA_SERVER, ValueError),
    ],
)
async def test_without_one_nothing_is_deleted(
    transport: HttpTransport, permit_: Permit, kind: Kind, error: type[Exception]
) -> None:
    async with serving(always(reply())) as server:
        with pytest.raises(error):
            transport.delete(permit_, Target(replace(server.engine(), kind=kind), Model("m", "m")))
    assert server.connections == 0


async def test_a_dialects_own_path_is_opened_by_a_permit_for_its_operation_alone(transport: HttpTransport) -> None:
    ollama = Engine("e", Kind.OLLAMA, "http://127.0.0.1:9", 1)
    for path in ("/v1/messages", "/api/chat", "/api/generate"):
        transport.send(permit(), ollama, UpstreamRequest("POST", path))
        with pytest.raises(ValueError):
            transport.send(permit(Operation.EMBEDDINGS), ollama, UpstreamRequest("POST", path))
    for path in ("/api/embed", "/api/pull", "/api/delete", "/v1/responses"):
        with pytest.raises(ValueError):
            transport.send(permit(), ollama, UpstreamRequest("POST", path))


async def test_embeddings_of_an_engine_without_them_have_no_path(transport: HttpTransport) -> None:
    with pytest.raises(ValueError):
        transport.send(
            permit(Operation.EMBEDDINGS),
            Engine("e", Kind.MLX_LM, "http://127.0.0.1:9", 1),
            UpstreamRequest("POST", "/v1/embeddings"),
        )


@pytest.mark.parametrize(
    "request_",
    [
        UpstreamRequest("POST", "/v1/models"),
        UpstreamRequest("GET", "/slots"),
        UpstreamRequest("GET", "/v1/models", b"{}"),
    ],
)
async def test_probes_only_ask_the_two_questions(transport: HttpTransport, request_: UpstreamRequest) -> None:
    with pytest.raises(ValueError):
        transport.probe(Engine("e", Kind.LLAMA_SERVER, "http://127.0.0.1:9", 1), request_)


# what comes back


async def test_blocks_are_handed_on_as_they_come(transport: HttpTransport) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"3\r\none\r\n")
        await go.wait()
        await peer.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with serving(script) as server, transport.send(permit(), server.engine(), ASK) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        blocks = answer.chunks()
        assert await anext(blocks) == b"one"
        go.set()
        assert b"".join([block async for block in blocks]) == b"two"


async def test_a_close_delimited_answer_ends_with_the_connection(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:  # mlx-lm: HTTP/1.0
        await peer.request()
        await peer.say(b"HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11\r\n\r\nall of it")

    async with serving(script) as server:
        assert await ask(transport, server.engine()) == b"all of it"


@pytest.mark.parametrize(
    ("header", "value"),
    [("7", 7.0), ("0", 0.0), ("soon", None), ("-1", None), ("1.5", None), ("9" * 40, None), ("²", None)],
)
async def test_retry_after_in_digits(transport: HttpTransport, header: str, value: float | None) -> None:
    answer_ = reply(b"", "503 Busy", f"Retry-After: {header}\r\n")
    async with serving(always(answer_)) as server, transport.send(permit(), server.engine(), ASK) as answer:
        assert (answer.status, answer.retry_after) == (503, value)


async def test_a_cookie_is_never_replayed(transport: HttpTransport) -> None:
    async with serving(always(reply(headers="Set-Cookie: s=1; Path=/\r\n"))) as server:
        await ask(transport, server.engine())
        await ask(transport, server.engine())
    assert len(server.seen) == 2
    assert all(b"cookie" not in request.lower() for request in server.seen)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "304 Not Modified", "307 Temporary Redirect"])
async def test_redirects_are_not_followed(transport: HttpTransport, status: str) -> None:
    async with serving(always(reply())) as target:
        error = await failure(transport, always(reply(b"", status, f"Location: {target.url}/api/pull\r\n")))
    assert isinstance(error, EngineBroke)
    assert target.connections == 0


async def test_a_switch_of_protocol_is_refused(transport: HttpTransport) -> None:
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert isinstance(await failure(transport, always(answer)), EngineBroke)


async def test_early_hints_are_passed_over(transport: HttpTransport) -> None:
    async with serving(always(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(b"real"))) as server:
        assert await ask(transport, server.engine()) == b"real"


async def test_an_endless_row_of_interim_answers_is_a_timeout(transport: HttpTransport) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        while True:
            await peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
            await asyncio.sleep(0.01)

    assert isinstance(await failure(transport, script, first_byte=0.2), EngineTimeout)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 9000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 100 + b"Content-Length: 0\r\n\r\n",
        reply(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"),
        CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nab",  # then the connection ends
        reply(b"0123456789")[:-4],
        b"HTTP/1.1 20",
    ],
    ids=["not-http", "two-lengths", "length-and-chunked", "long-field", "many-fields", "gzip", "bad-chunk", "cut-chunk",
         "cut-length", "cut-head"],
)  # fmt: skip
async def test_an_invalid_answer_is_the_engines_fault(transport: HttpTransport, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)

    assert isinstance(await failure(transport, script), EngineBroke)


async def test_an_answer_larger_than_the_limit(transport: HttpTransport) -> None:
    async with serving(always(reply(b"x" * 1000))) as server, transport.send(permit(), server.engine(), ASK) as answer:
        with pytest.raises(EngineBroke):
            await answer.read(999)


async def test_bytes_after_an_answer_do_not_reach_the_next_caller(transport: HttpTransport) -> None:
    async with serving(always(reply(b"one") + reply(b"poison"))) as server:
        assert await ask(transport, server.engine()) == b"one"
        assert await ask(transport, server.engine()) == b"one"
    assert server.connections == 2


async def test_no_word_of_the_engine_is_in_the_error(transport: HttpTransport) -> None:
    error = await failure(transport, always(b"HTTP/1.1 sk-secret prompt text\r\n\r\n"))
    assert "secret" not in error.detail
    assert "secret" not in error.text
