"""The demo engine's process: started, waited for, restarted, stopped, and never an orphan. The server is a script that
answers as mlx-lm does, so these tests say nothing of the real one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engines.contract import Kind
from engines.demo import LOG, DemoEngine, Recipe, tiny
from engines.tiny import serve
from engines.transport import HttpTransport
from policies import leash
from policies.errors import EngineUnreachable, UpstreamError
from tests.engines.waiting import until

SERVER = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
port, pids, flags = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
if "stubborn" in flags: signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(BaseHTTPRequestHandler):
    def say(self, document, status=200):
        body = json.dumps(document).encode()
        self.send_response(status); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/health": self.say({"status": "ok"})
        else: self.say({"object": "list", "data": [{"id": "/srv/tiny"}]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["model"] == "default_model" and body["max_tokens"] == 1
        self.say({"error": "no"} if "broken" in flags else {}, 500 if "broken" in flags else 200)
server = HTTPServer(("127.0.0.1", port), Handler)
with open(pids, "a") as file: file.write(f"{os.getpid()}\\n")
server.serve_forever()
"""


def recipe(folder: Path, *flags: str, script: str = SERVER) -> Recipe:
    pids = str(folder / "pids")
    return Recipe(Kind.MLX_LM, lambda port: [sys.executable, "-c", script, str(port), pids, *flags], {}, "shown")


def started(folder: Path) -> list[int]:
    file = folder / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until_gone(pid: int) -> None:
    await until(lambda: not lives(pid))


async def test_started_means_it_answered_and_stopped_means_it_is_gone(transport: HttpTransport, tmp_path: Path) -> None:
    demo = DemoEngine(transport, tmp_path, recipe(tmp_path))
    engine = await demo.start()
    assert (engine.kind, engine.model, engine.concurrency) == (Kind.MLX_LM, "shown", 4)
    (pid,) = started(tmp_path)
    assert lives(pid)
    assert (tmp_path / LOG).stat().st_mode & 0o777 == 0o600
    await demo.stop()
    assert not lives(pid)
    await demo.stop()  # twice is fine


async def test_it_is_started_again_when_it_dies(transport: HttpTransport, tmp_path: Path) -> None:
    async def at_once(_: float) -> None:
        await asyncio.sleep(0)

    demo = DemoEngine(transport, tmp_path, recipe(tmp_path), pause=at_once)
    await demo.start()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(demo.run())
        os.kill(started(tmp_path)[0], signal.SIGKILL)
        await until(lambda: len(started(tmp_path)) > 1)
        await demo.stop()
    assert not any(lives(pid) for pid in started(tmp_path))


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "import time; time.sleep(60)"], ids=["dies", "hangs"])
async def test_one_that_never_answers(transport: HttpTransport, tmp_path: Path, script: str) -> None:
    demo = DemoEngine(transport, tmp_path, recipe(tmp_path, script=script), ready_within=1.0)
    with pytest.raises(EngineUnreachable) as caught:
        await demo.start()
    assert LOG in caught.value.detail


async def test_one_that_is_alive_but_cannot_answer(transport: HttpTransport, tmp_path: Path) -> None:
    demo = DemoEngine(transport, tmp_path, recipe(tmp_path, "broken"))
    with pytest.raises(UpstreamError):
        await demo.start()
    await until_gone(started(tmp_path)[0])


async def test_one_that_ignores_sigterm_is_killed(
    transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.demo.STOP_WITHIN", 0.3)
    demo = DemoEngine(transport, tmp_path, recipe(tmp_path, "stubborn"))
    await demo.start()
    await demo.stop()
    await until_gone(started(tmp_path)[0])


async def test_a_killed_gateway_leaves_no_orphan(tmp_path: Path) -> None:
    """A process in our place starts one on a leash and is killed with -9: the pipe closes, the engine goes."""
    engine = "import os, sys, time; open(sys.argv[1], 'w').write(f'{os.getpid()}\\n'); time.sleep(60)"
    gateway = (
        "import subprocess, sys, time\n"
        "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(60)"
    )
    pids = tmp_path / "pids"
    argv = [sys.executable, "-I", leash.__file__, sys.executable, "-c", engine, str(pids)]
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", gateway, *argv)
    await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    (pid,) = started(tmp_path)
    assert lives(pid)
    parent.kill()
    await parent.wait()
    await until_gone(pid)


def test_the_leash_hands_on_how_it_ended() -> None:
    for command, code in (("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)):
        argv = [sys.executable, "-I", leash.__file__, sys.executable, "-c", command]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        with process.stdin:
            assert process.wait(20) == code


def test_the_tiny_model_by_whatever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: dict[tuple[str, ...], Kind] = {
        ("mlx_lm.server", "llama_cpp.server"): Kind.MLX_LM,
        ("llama_cpp.server",): Kind.LLAMA_CPP_PYTHON,
    }
    for installed, kind in kinds.items():
        monkeypatch.setattr(serve, "available", lambda found=installed: found)
        assert tiny().kind is kind
    monkeypatch.setattr(serve, "available", lambda: ())
    with pytest.raises(EngineUnreachable):
        tiny()


def test_free_ports_differ(tmp_path: Path) -> None:
    began = time.monotonic()
    transport = HttpTransport()
    urls = {DemoEngine(transport, tmp_path, recipe(tmp_path)).engine.url for _ in range(5)}
    assert len(urls) > 1
    assert time.monotonic() - began < 5
