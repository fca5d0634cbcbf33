"""Starts a real engine on a free port, waits until it answers, talks to it with urllib, and stops it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import cast
from urllib.error import URLError
from urllib.request import Request, urlopen

from engines.tiny import serve

PATIENCE = 90  # seconds until ready; measured: 2 to 6 on an idle machine
Json = dict[str, object]


@dataclass(frozen=True)
class Server:
    url: str
    model: str

    def get(self, path: str) -> bytes:
        with urlopen(self.url + path, timeout=30) as answer:  # noqa: S310 - our own loopback URL
            return cast(bytes, answer.read())

    def post(self, path: str, body: Json) -> bytes:
        data = json.dumps({"model": self.model, **body}).encode()
        request = Request(self.url + path, data, {"content-type": "application/json"})  # noqa: S310
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            return cast(bytes, answer.read())

    def message(self, messages: list[Json] | str, **more: object) -> Json:
        """The assistant's message to a question or a conversation."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        answer = json.loads(self.post("/v1/chat/completions", {"messages": messages, **more}))
        return cast(Json, answer["choices"][0]["message"])

    def streamed(self, question: str, **more: object) -> str:
        """The same question's answer, put together from a stream that must end properly."""
        messages = [{"role": "user", "content": question}]
        raw = self.post("/v1/chat/completions", {"messages": messages, "stream": True, **more}).decode()
        lines = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith("data: ")]
        assert lines[-1] == "[DONE]"
        choices = [choice for line in lines[:-1] for choice in json.loads(line)["choices"]]
        assert choices[-1]["finish_reason"] == "stop"
        return "".join(choice["delta"].get("content") or "" for choice in choices)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return cast(int, s.getsockname()[1])


@contextmanager
def running(argv: Callable[[int], list[str]], ready_path: str, model: str, log: Path) -> Iterator[Server]:
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}", model)
    with log.open("wb") as out:
        process = subprocess.Popen(argv(port), stdout=out, stderr=out, env={**os.environ, **serve.environment()})
    try:
        _wait(server, ready_path, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Server, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            server.get(path)
        except (URLError, OSError, HTTPException):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"not ready in {PATIENCE} s: " + log.read_text(errors="replace"))
