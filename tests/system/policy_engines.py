"""The three engines behind one protocol, for tests that must hold with each of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from policies.json import JSON, Object
from tests.system.opa import OPA, TOKEN, RemoteOpa, children_named
from tests.system.process import Gateway, until

KINDS: Final = ("embedded", "opa", "remote")
_STOPPED: Final = 20.0


@dataclass(frozen=True, slots=True)
class EngineUnderTest:
    """`settings` for the configuration's `policy:`, `env` that goes with them."""

    kind: str
    settings: Object
    env: dict[str, str]
    remote: RemoteOpa | None = None

    def policy(self, **more: JSON) -> Object:
        return {**self.settings, **more}

    def kill(self, gateway: Gateway) -> None:
        """End the engine as the kernel would when memory is short."""
        if self.remote is not None:
            self.remote.kill()
            return
        for child in self._children(gateway):
            child.send_signal(signal.SIGKILL)

    def silence(self, gateway: Gateway) -> None:
        """Make it say nothing, without dying."""
        assert self.remote is None
        for child in self._children(gateway):
            child.send_signal(signal.SIGSTOP)
            # All its threads: on a busy machine it answers for a while yet.
            until(lambda child=child: child.status() == psutil.STATUS_STOPPED, _STOPPED, "it stands still")  # type: ignore[misc]

    def revive(self) -> None:
        """What nobody but its owner can do for a remote one."""
        if self.remote is not None:
            self.remote.start()

    def _children(self, gateway: Gateway) -> list[psutil.Process]:
        words = ("policies.embedded", "serve") if self.kind == "embedded" else (str(OPA), "run")
        found = [
            child for child in children_named(gateway.process.pid, *words) if "leash.py" not in str(child.cmdline())
        ]
        assert found, f"no {self.kind} engine runs"
        return found


@contextmanager
def engine_under_test(kind: str, folder: Path) -> Iterator[EngineUnderTest]:
    """One of KINDS; the remote one gets its policy pushed and wants a token."""
    if kind == "remote":
        remote = RemoteOpa(folder)
        remote.start()
        settings: Object = {"engine": "remote", "url": remote.url, "token": "${OPA_TOKEN}", "push": True}
        try:
            yield EngineUnderTest(kind, settings, {"OPA_TOKEN": TOKEN}, remote)
        finally:
            remote.kill()
    elif kind == "opa":
        yield EngineUnderTest(kind, {"engine": "opa", "opa": str(OPA)}, {})
    else:
        yield EngineUnderTest(kind, {"engine": "embedded"}, {})
