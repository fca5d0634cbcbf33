"""A real engine process that serves the tiny model: mlx_lm.server or llama_cpp.server."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines.tiny import serve
from policies.json import JSON
from tests.system.process import until
from tests.system.wire import TruncatedError, Wire, compose

_START_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class RealEngine:
    """How one kind is started and when it is ready. `calls_tools`: its server turns the model's words into calls."""

    kind: str
    server: str
    ready_path: str
    argv: Callable[[int], list[str]]
    embeddings: bool
    calls_tools: bool


KINDS = {
    engine.server: engine
    for engine in (
        RealEngine("mlx-lm", "mlx_lm.server", serve.MLX_READY_PATH, serve.mlx_lm_argv, False, True),
        RealEngine(
            "llama-cpp-python",
            "llama_cpp.server",
            serve.LLAMA_CPP_READY_PATH,
            lambda port: serve.llama_cpp_argv(port, embedding=True),
            True,
            False,
        ),
    )
}


@contextmanager
def running(engine: RealEngine, folder: Path) -> Iterator[dict[str, JSON]]:
    """Run the engine; the entry for the gateway's `engines.list`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log = folder / "engine.log"
    environment = {**os.environ, **serve.environment(), "HOME": str(folder)}
    with (
        log.open("wb") as out,
        subprocess.Popen(engine.argv(port), env=environment, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            until(
                lambda: process.poll() is not None or _answers(port, engine.ready_path),
                _START_DEADLINE,
                f"{engine.server} is ready: {log.read_text(errors='replace')[-2000:]}",
            )
            assert process.poll() is None, log.read_text(errors="replace")
            yield {
                "name": "real",
                "kind": engine.kind,
                "url": f"http://127.0.0.1:{port}",
                "model": serve.ALIAS,
                "concurrency": 1,
            }
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int, path: str) -> bool:
    try:
        with Wire.open(("127.0.0.1", port)) as wire:
            wire.send(compose("GET", path, "Connection: close"))
            return wire.head(5.0).status == 200
    except (OSError, AssertionError, TruncatedError):
        return False
