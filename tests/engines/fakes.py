"""Fake engines of every kind on free ports, answering as recorded."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import orjson

from engines.contract import Kind
from policies.json import JSON
from tests.engines.loopback import Loopback, Peer, reply, serving

OK_HEALTH = b'{"status":"ok"}'


@dataclass(slots=True)
class Fake:
    """An engine's GET routes. Change `models` or `up` while it runs; `asked` holds the paths."""

    kind: Kind
    models: list[str] = field(default_factory=lambda: ["m"])
    up: bool = True
    asked: list[str] = field(default_factory=list)

    def serving(self) -> AbstractAsyncContextManager[Loopback]:
        return serving(self._script)

    async def _script(self, peer: Peer) -> None:
        while head := await peer.request():
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            if not self.up:
                return
            await peer.say(self.answer(path))

    def answer(self, path: str) -> bytes:
        openai: JSON = {"object": "list", "data": [{"id": name} for name in self.models]}
        tags: JSON = {"models": [{"name": name} for name in self.models]}
        title: JSON = {"info": {"title": "llama.cpp Python API"}, "paths": {"/extras/tokenize/count": {}}}
        routes: dict[Kind, dict[str, tuple[str, bytes]]] = {
            Kind.OPENAI: {},
            Kind.DOCKER_MODEL_RUNNER: {
                "/": ("", b"Docker Model Runner is running"),
                "/engines/v1/models": ("", orjson.dumps(openai)),
            },
            Kind.LLAMA_SERVER: {"/health": ("Server: llama.cpp\r\n", OK_HEALTH)},
            Kind.LLAMA_CPP_PYTHON: {"/openapi.json": ("", orjson.dumps(title))},
            Kind.MLX_LM: {"/health": ("Server: BaseHTTP/0.6 Python/3.11\r\n", OK_HEALTH)},
            Kind.VLLM: {"/version": ("Server: uvicorn\r\n", b'{"version":"1"}'), "/health": ("", b"")},
            Kind.OLLAMA: {"/api/version": ("", b'{"version":"1"}'), "/api/tags": ("", orjson.dumps(tags))},
            Kind.LM_STUDIO: {},
        }
        mine = routes[self.kind]
        if self.kind not in (Kind.DOCKER_MODEL_RUNNER, Kind.OLLAMA):
            mine["/v1/models"] = ("", orjson.dumps(openai))
        if path not in mine:
            return reply(b'{"error":"no"}', "404 Not Found")
        headers, body = mine[path]
        return reply(body, headers=headers)
