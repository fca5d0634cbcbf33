"""A real OPA as somebody else's process: a server on a port, with a token, that can be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import psutil

from tests.system.process import until
from tests.system.wire import Wire, compose

OPA: Final = Path(sys.executable).parent / "opa"
TOKEN: Final = "an-opa-token"

_AUTHZ: Final = f"""package system.authz

default allow := false

allow if input.identity == "{TOKEN}"

allow if input.path == ["health"]
"""


class RemoteOpa:
    """Only who has the token may ask it, or change its policies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rules = folder / "authz.rego"
        self._rules.write_text(_AUTHZ)
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, empty, and wait until it is well."""
        self._process = subprocess.Popen(
            (
                *(str(OPA), "run", "--server", "--addr", f"127.0.0.1:{self._port}"),
                *("--authentication=token", "--authorization=basic"),
                *("--skip-version-check", "--log-level", "error", str(self._rules)),
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._well, 10.0, "OPA is well")

    def kill(self) -> None:
        """With -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)

    def _well(self) -> bool:
        try:
            with Wire.open(("127.0.0.1", self._port)) as wire:
                return wire.ask(compose("GET", "/health")).status == 200
        except OSError:
            return False


def children_named(parent: int, *words: str) -> list[psutil.Process]:
    """The processes below `parent` whose command line holds all `words`."""
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        try:
            line = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        if all(any(word in part for part in line) for word in words):
            found.append(child)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
