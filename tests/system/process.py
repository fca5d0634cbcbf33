"""The gateway as a process of its own: started, watched, asked by command line, stopped.

Tests never import the gateway's modules: they see what a user sees, its command, its sockets and its output.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import psutil
import yaml

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.memory import resident
from tests.system.wire import Answer, Wire, compose, loads

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE = 20.0
STOP_DEADLINE = 45.0
COMMAND = tuple(shlex.split(os.environ.get("LLM_GATEWAY_COMMAND", ""))) or (sys.executable, "-m", "edge")
"""What is tested: this source tree, or e.g. the `llm-gateway` of an installed wheel."""


@dataclass(frozen=True, slots=True)
class Key:
    """A gateway key as `keys create --json` gives it."""

    id: str
    secret: str

    @property
    def bearer(self) -> str:
        """The header line that presents it."""
        return f"Authorization: Bearer {self.secret}"


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has run."""

    code: int
    out: str
    err: str


class Lines:
    """The lines of a pipe, read as they come by a thread, so that a full pipe never blocks the gateway."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def all(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    @property
    def text(self) -> str:
        return "\n".join(self.all)

    def find(self, wanted: Callable[[str], bool], within: float = 5.0) -> str | None:
        """The first line that is wanted, waiting for it; None after the deadline or at the end of the pipe."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or any(map(wanted, self._lines)), within)
            return next(filter(wanted, self._lines), None)

    def matching(self, wanted: Callable[[str], bool], count: int, within: float = 5.0) -> list[str]:
        """The lines that are wanted, waiting until there are `count`; those there are by the deadline."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or sum(map(wanted, self._lines)) >= count, within)
            return list(filter(wanted, self._lines))

    def end(self, within: float = 5.0) -> None:
        """Wait until all was read; not for ever, because a child that lives on may hold the pipe open."""
        self._thread.join(within)

    def close(self) -> None:
        self.end()
        self._pipe.close()


@dataclass(slots=True)
class Gateway:
    """A gateway with its own state folder. `start` it, talk to `address` and `admin`, `stop` it."""

    folder: Path
    config: Object
    env: Mapping[str, str] = field(default_factory=dict)
    address: tuple[str, int] = ("127.0.0.1", 0)
    admin: tuple[str, int] = ("127.0.0.1", 0)
    started_in: float = 0.0
    command: tuple[str, ...] = COMMAND
    """What `spawn` starts; everything else is asked of `COMMAND`."""
    _process: subprocess.Popen[str] | None = None
    _streams: tuple[Lines, Lines] | None = None
    _family: list[psutil.Process] = field(default_factory=list)

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LLM_GATEWAY_HOME": str(self.folder / "home"), "PYTHONUNBUFFERED": "1", **self.env}

    @property
    def file(self) -> Path:
        return self.folder / "gateway.yaml"

    def spawn(self, *arguments: str) -> Self:
        """Start `up` without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text(yaml.safe_dump(self.config))
        self._process = subprocess.Popen(
            (*self.command, "up", "--config", str(self.file), "--json", *arguments),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._streams = (Lines(self._process.stdout), Lines(self._process.stderr))
        return self

    def start(self, *arguments: str) -> Self:
        """Start `up` and wait until it says that it listens."""
        begun = time.monotonic()
        self.spawn(*arguments)
        line = self.out.find(lambda text: '"listening"' in text, START_DEADLINE)
        assert line is not None, f"never listened; exit code {self.process.poll()}, stderr:\n{self.err.text}"
        self.started_in = time.monotonic() - begun
        event = loads(line)
        listener = as_object(as_list(event["listeners"])[0])
        self.address, self.admin = _address(listener), _address(as_object(event["admin"]))
        return self

    def ready(self, within: float = 10.0) -> Self:
        """Wait until /readyz says 200: engines were probed and their models are known."""
        until(lambda: self.get("/readyz", admin=True).status == 200, within, f"/readyz; stderr:\n{self.err.text}")
        return self

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def out(self) -> Lines:
        assert self._streams is not None, "not started"
        return self._streams[0]

    @property
    def err(self) -> Lines:
        assert self._streams is not None, "not started"
        return self._streams[1]

    def signal(self, number: signal.Signals) -> None:
        self._family = self._children()
        self.process.send_signal(number)

    def wait(self, within: float = STOP_DEADLINE) -> int:
        """Wait for the end; its exit code. AssertionError if it does not come, or leaves children behind."""
        self._family = self._family or self._children()
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"still running after {within} s; stderr:\n{self.err.text}") from late
        for stream in (self.out, self.err):
            stream.close()
        _, alive = psutil.wait_procs(self._family, timeout=5.0)
        assert not alive, f"orphans: {[p.cmdline() for p in alive]}"
        return code

    def stop(self) -> int:
        """SIGTERM, and wait."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Whatever happened: gone, and its children with it."""
        if self._process is None:
            return
        for process in (*self._children(), *self._family):
            _kill(process)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_DEADLINE)
        for stream in (self.out, self.err):
            stream.close()

    @property
    def _telemetry(self) -> Object:
        return as_object(self.config.get("telemetry"))

    # -- looking at it -------------------------------------------------------------------------------------------------

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def resident(self) -> int:
        """Memory of the process and its children, see memory.resident."""
        return resident(self.process.pid)

    def descriptors(self) -> int:
        """Open file descriptors of the process."""
        return psutil.Process(self.process.pid).num_fds()

    def logged(self) -> str:
        """Everything it wrote anywhere: both pipes and each file in its folder that is not a database or a key file.
        While it runs, also what it is about to write of the requests that are over."""
        if self._process is not None and self._process.poll() is None and "access_log" not in self._telemetry:
            self.access_line(self.get("/healthz").head.get("x-request-id") or "none")
        files = [p for p in self.folder.rglob("*.log*") if p.is_file()]
        return "\n".join((self.out.text, self.err.text, *(p.read_text(errors="replace") for p in files)))

    def access_line(self, request_id: str, within: float = 5.0) -> Object:
        """The access line of one request."""
        line = self.err.find(lambda text: request_id in text and text.startswith("{"), within)
        assert line is not None, f"no access line for {request_id} in\n{self.err.text[-2000:]}"
        return loads(line)

    def access_lines(self, key: Key, route: str, count: int) -> list[Object]:
        """The access lines of a key's requests to one route, waiting until there are `count`: each is written a little
        after the answer's end, and who was answered may be gone by then."""
        lines = self.err.matching(lambda text: _asked(text, key, route), count)
        return list(map(loads, lines))

    # -- talking to it -------------------------------------------------------------------------------------------------

    def open(self, *, admin: bool = False) -> Wire:
        return Wire.open(self.admin if admin else self.address)

    def get(self, path: str, *lines: str, admin: bool = False) -> Answer:
        """One GET on a connection of its own."""
        with self.open(admin=admin) as wire:
            return wire.ask(compose("GET", path, *lines))

    def post(self, path: str, body: JSON | bytes, *lines: str) -> Answer:
        """One POST on a connection of its own."""
        with self.open() as wire:
            return wire.ask(compose("POST", path, *lines, body=body))

    def run(self, *arguments: str, within: float = 30.0) -> Ended:
        """One command of the command line, on this gateway's state."""
        return run(*arguments, env=self.environment, within=within)

    def create_key(self, name: str, *arguments: str) -> Key:
        """A new key, accepted already if the gateway is up."""
        ended = self.run("keys", "create", name, *arguments, "--json")
        assert ended.code == 0, ended.err
        made = loads(ended.out)
        key = Key(as_str(made["id"]), as_str(made["key"]))
        if self._process is not None:
            until(lambda: self.get("/v1/me", key.bearer).status != 401, 3.0, f"key {key.id} is accepted")
        return key


def run(*arguments: str, env: Mapping[str, str], within: float = 30.0) -> Ended:
    """Run one `llm-gateway` command to its end."""
    done = subprocess.run(
        (*COMMAND, *arguments),
        cwd=ROOT,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def until(condition: Callable[[], bool], within: float, what: str) -> float:
    """Ask again and again until `condition` holds; the seconds it took. For states that nothing announces."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < within, f"not in {within} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - begun


def configuration(engine_url: str, **changes: JSON) -> Object:
    """The tests' configuration: one engine, ports of the system's choice; `changes` replace whole sections."""
    engine: Object = {"name": "fake", "kind": "openai", "url": engine_url, "concurrency": 8}
    engine.update(as_object(changes.pop("engine", None)))
    listener: Object = {"name": "local", "bind": "127.0.0.1:0"}
    listener.update(as_object(changes.pop("listener", None)))
    return {
        "listeners": [listener],
        "admin": {"bind": "127.0.0.1:0"},
        "engines": {"discover": False, "list": [engine]},
        # All tests share one source address; only the test of the lockout itself wants to be locked out.
        "identity": {"lockout": {"failures": 1_000_000}},
        **changes,
    }


def _asked(text: str, key: Key, route: str) -> bool:
    return text.startswith("{") and key.id in text and loads(text).get("route") == route


def _address(document: Object) -> tuple[str, int]:
    port = document["port"]
    assert isinstance(port, int)
    return as_str(document["host"]), port


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
