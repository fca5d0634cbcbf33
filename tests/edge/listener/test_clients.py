"""What real clients send passes the strict checks (facts/clients.md: keep-alive, lengths, no surprises)."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import subprocess
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest

from edge.listener.request import AiohttpInbound
from tests.edge.listener.harness import listening

COMPLETION = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
}


async def test_the_aiohttp_client_reuses_chunks_and_expects() -> None:
    async with listening() as door, aiohttp.ClientSession() as session:  # noqa: TID251 - the client under test
        url = f"http://127.0.0.1:{door.port}/v1/chat/completions"
        connections = []
        for n in range(20):
            async with session.post(url, json={"n": n}, expect100=n % 2 == 0) as answer:
                assert answer.status == 200
                connections.append(answer.connection)
                await answer.read()

        async def blocks() -> AsyncIterator[bytes]:
            for n in range(5):
                yield b"%d" % n

        async with session.post(url, data=blocks()) as answer:
            assert answer.status == 200
        assert door.seen[-1][2] == b"01234"
        results = await asyncio.gather(*[session.get(url.replace("chat/completions", "models")) for _ in range(30)])
        assert {result.status for result in results} == {200}
        for result in results:
            result.release()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--http2"],
        ["--http1.0"],
        ["-d", "{}"],
        ["--http2", "-d", "{}"],
        ["-H", "Expect: 100-continue", "-d", "{}"],
        ["-H", "Transfer-Encoding: chunked", "-d", "@/etc/services"],
        ["--data-binary", "@/etc/services"],
        ["-I"],
        ["--compressed"],
    ],
    ids=" ".join,
)
async def test_curl(arguments: list[str]) -> None:
    curl = shutil.which("curl")
    assert curl
    async with listening() as door:
        command = [
            curl,
            "-sS",
            "--max-time",
            "5",
            *["-o", "/dev/null"] * 2,
            "-w",
            "%{http_code} %{num_connects}",
            *arguments,
        ]
        urls = [f"http://localhost:{door.port}/v1/models?a=b"] * 2
        done = await asyncio.to_thread(
            subprocess.run, [*command, *urls], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("200 1200 ")
        assert done.stdout.endswith("1" if "--http1.0" in arguments else "0"), "the connection is reused"


async def test_http_client() -> None:
    def talk(port: int) -> list[int]:
        connection = http.client.HTTPConnection("localhost", port, timeout=5)
        statuses = []
        for method, body in [("GET", None), ("POST", b"{}"), ("HEAD", None), ("POST", iter([b"a", b"b"]))]:
            connection.request(method, "/v1/models", body)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()
        return statuses

    async with listening() as door:
        assert await asyncio.to_thread(talk, door.port) == [200] * 4


async def test_the_openai_sdk() -> None:
    async def handler(inbound: AiohttpInbound) -> None:
        document = json.loads(await inbound.body(10_000) or b"{}")
        if inbound.path in {"/v1/models/ai%2Fsmol:latest", "/v1/models/ai/smol:latest"}:
            await inbound.answer(200, {"content-type": "application/json"}, b'{"id":"ai/smol","object":"model"}')
        elif document.get("stream"):
            await inbound.begin(200, {"content-type": "text/event-stream"})
            chunk = COMPLETION | {
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": "h"}}],
            }
            await inbound.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await inbound.write(b"data: [DONE]\n\n")
            await inbound.end()
        else:
            assert inbound.headers["authorization"] == "Bearer k"
            await inbound.answer(200, {"content-type": "application/json"}, json.dumps(COMPLETION).encode())

    async with listening(handler) as door:
        base = f"http://127.0.0.1:{door.port}/v1"
        async with openai.AsyncOpenAI(api_key="k", base_url=base, max_retries=0) as client:
            for _ in range(3):
                done = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "é"}])
                assert done.choices[0].message.content == "hi"
                stream = await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "x"}], stream=True
                )
                assert [chunk.choices[0].delta.content async for chunk in stream] == ["h"]
            assert (await client.models.retrieve("ai/smol:latest")).id == "ai/smol"
