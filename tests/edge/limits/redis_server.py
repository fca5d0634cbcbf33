"""A real redis-server of a test's own: a free port, nothing on disk, and it can be killed, frozen and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class RedisServer:
    """Runs in the foreground as a child; `start` waits until it answers."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a password; database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty."""
        program = shutil.which("redis-server")
        assert program is not None, "no redis-server: requirements/system.sh installs it"
        self._process = subprocess.Popen(
            (
                *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
                *("--daemonize", "no", "--databases", "1", "--dir", "/tmp"),  # noqa: S108 - nothing is written there
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20.0
        while self.say("PING") != b"+PONG\r\n":
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def say(self, line: str) -> bytes:
        """The first bytes of its answer to one inline command; b"" if there is none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5.0) as wire:
                wire.sendall(line.encode() + b"\r\n")
                return wire.recv(4096)
        except OSError:
            return b""

    def freeze(self) -> None:
        """It takes connections and bytes, and answers nothing until `thaw`; then it does what it was told meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        watched, deadline = psutil.Process(self._process.pid), time.monotonic() + 20.0
        while watched.status() != psutil.STATUS_STOPPED:  # on a busy machine it answers for a while yet
            assert time.monotonic() < deadline, "redis-server does not stand still"
            time.sleep(0.001)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it at once; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._process = None


@contextmanager
def running() -> Iterator[RedisServer]:
    """A fresh one that is gone at the end."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
