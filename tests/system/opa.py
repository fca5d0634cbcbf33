"""A real OPA as somebody else's: one with a token that can be killed and come back, one that follows a gateway."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from policies.json import Object
from tests.system.process import ROOT, Gateway, Key, until
from tests.system.wire import Wire, compose, loads

OPA: Final = Path(sys.executable).parent / "opa"
TOKEN: Final = "an-opa-token"

DECISION: Final = "/v1/data/gateway/authz/decision?strict-builtin-errors=true"

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


@dataclass(frozen=True, slots=True)
class Follower:
    """An OPA that polls."""

    port: int
    process: subprocess.Popen[bytes]

    def decides(self, given: Object) -> Object | None:
        """Its decision for the input `given`; None while it has no policy."""
        assert self.process.poll() is None
        try:
            with Wire.open(("127.0.0.1", self.port)) as wire:
                answer = wire.ask(compose("POST", DECISION, body={"input": given}))
        except OSError:
            return None
        found = loads(answer.body).get("result")
        return found if isinstance(found, dict) else None


@contextmanager
def follower(gateway: Gateway, key: Key, folder: Path, public_key: bytes = b"") -> Iterator[Follower]:
    """An OPA that follows `gateway`, set up as docs/policy-fleet.md says; `key` has scope policy:sync."""
    folder.mkdir()
    (folder / "token").write_text(key.secret)
    (folder / "public-key.pem").write_bytes(
        public_key or gateway.get("/policy/public-key.pem", key.bearer, admin=True).body
    )
    port = _free_port()
    process = subprocess.Popen(
        (
            *(str(OPA), "run", "--server", "--addr", f"127.0.0.1:{port}", "--skip-version-check"),
            *("--config-file", str(ROOT / "deploy" / "opa" / "opa.yaml")),
            *("--set-file", f"keys.llm-gateway.key={folder / 'public-key.pem'}"),
        ),
        env={
            "LLM_GATEWAY_POLICY_URL": "http://{}:{}/policy".format(*gateway.admin),
            "LLM_GATEWAY_TOKEN_FILE": str(folder / "token"),
            "OPA_PERSISTENCE_DIRECTORY": str(folder),
            "HOME": str(folder),
            "PATH": os.defpath,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Follower(port, process)
    finally:
        process.kill()
        process.wait(10.0)


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
