"""`top` and `tail` as processes of their own, and what they and the admin listener say."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from policies.json import Object, as_list, as_object
from tests.system.process import COMMAND, ROOT, Gateway, Key, Lines, until
from tests.system.wire import loads

PATIENCE = 20.0
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def arguments(gateway: Gateway) -> tuple[str, ...]:
    """Where the gateway is: its configuration says port 0."""
    host, port = gateway.admin
    return "--config", str(gateway.file), "--admin", f"{host}:{port}"


def live(gateway: Gateway, key: Key) -> Object:
    """One snapshot; who asks too often is told to wait."""
    while (answer := gateway.get("/live", key.bearer, admin=True)).status == 429:
        time.sleep(0.1)
    assert answer.status == 200, answer.raw
    return answer.json()


def requests(snapshot: Object) -> list[Object]:
    """Those that run."""
    return [as_object(request) for request in as_list(snapshot["requests"])]


@dataclass(slots=True)
class Watched:
    """A command that goes on, and the lines that it has printed."""

    process: subprocess.Popen[str]
    out: Lines
    err: Lines

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def tail(gateway: Gateway, *options: str) -> Iterator[Watched]:
    """`tail`, from the moment on at which the gateway tells it what ends."""
    process = subprocess.Popen(
        (*COMMAND, "tail", *arguments(gateway), *options),
        cwd=ROOT,
        env=gateway.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    watched = Watched(process, Lines(process.stdout), Lines(process.stderr))
    try:
        assert watched.err.find(lambda line: "watching" in line, PATIENCE), watched.err.text
        yield watched
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)
        watched.out.close()
        watched.err.close()


class Screen:
    """`top` on a pseudo-terminal of `columns` by `lines`."""

    def __init__(self, gateway: Gateway, columns: int, lines: int, *options: str, **env: str) -> None:
        self.outside, self.inside = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.inside)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.process = subprocess.Popen(
            (*COMMAND, "top", *arguments(gateway), "--interval", "250ms", *options),
            cwd=ROOT,
            env={**gateway.environment, "TERM": "xterm-256color", **env},
            stdin=self.inside,
            stdout=self.inside,
            stderr=self.inside,
            start_new_session=True,
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.outside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float = 0.05) -> str:
        """What it has written since the last time."""
        text = b""
        while select.select([self.outside], [], [], seconds)[0]:
            text += os.read(self.outside, 1 << 16)
        read = self._decoder.decode(text)
        self.raw += read
        return read

    def frames(self) -> list[list[str]]:
        """The whole screens that it has drawn, each as its lines, without control sequences."""
        drawn = self.raw.split("\x1b[H")[1:]
        return [_ESCAPE.sub("", frame).split("\r\n") for frame in drawn if frame.rstrip().endswith("\x1b[J")]

    def shows(self, *words: str) -> None:
        """Wait until the latest screen shows all of them."""

        def seen() -> bool:
            _ = self.read()
            frames = self.frames()
            return bool(frames) and all(word in "\n".join(frames[-1]) for word in words)

        _ = until(seen, PATIENCE, f"{words} on the screen:\n{self.raw[-3000:]}")

    def press(self, keys: str) -> None:
        os.write(self.outside, keys.encode())

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            _ = self.read()
        _ = self.read()
        return self.process.wait(1.0)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self.outside)
        os.close(self.inside)


def names(gateway: Gateway) -> list[str]:
    """The names of all keys."""
    ended = gateway.run("keys", "list", "--json")
    assert ended.code == 0, ended.err
    return [str(as_object(key)["name"]) for key in as_list(as_object(loads(f'{{"keys": {ended.out}}}'))["keys"])]
