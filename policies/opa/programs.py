"""The two programs that evaluate a policy on this machine: how each is started, and what it reads its bundle from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from policies.archive import archive
from policies.bundle import Bundle

OPA: Final = "opa"
EMBEDDED: Final = "embedded"


@dataclass(frozen=True, slots=True)
class Program:
    """One program. `argv` makes its command line from the socket's path and the bundle file's.

    `leashed`: it does not end by itself when its standard input does. `environment` is all that it gets: nothing of
    ours, least of all our secrets.
    """

    kind: str
    bundle_file: str
    pack: Callable[[Bundle], bytes]
    argv: Callable[[Path, Path], Sequence[str]]
    leashed: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def embedded(*, decision_seconds: float, memory_bytes: int) -> Program:
    """Our own program around regorus; it kills itself when one decision takes longer than `decision_seconds`."""

    def argv(socket: Path, bundle: Path) -> Sequence[str]:
        return (
            *(sys.executable, "-m", "policies.embedded", "serve"),
            *("--addr", f"unix://{socket}", "--bundle", str(bundle)),
            *("--decision-seconds", f"{decision_seconds:g}", "--memory-bytes", str(memory_bytes)),
        )

    paths = {"PYTHONPATH": str(Path(__file__).parent.parent.parent), "PYTHONSAFEPATH": "1"}
    return Program(EMBEDDED, "bundle.json", _pack, argv, leashed=False, environment=paths | {"RUST_BACKTRACE": "0"})


def opa(program: Path, *, memory_bytes: int) -> Program:
    """A real OPA. It has no memory limit of its own but the collector's, which makes it work hard near the limit."""

    def argv(socket: Path, bundle: Path) -> Sequence[str]:
        return (
            *(str(program), "run", "--server", "--addr", f"unix://{socket}", "--unix-socket-perm", "600"),
            *("--bundle", str(bundle), "--skip-version-check", "--log-level", "error"),
        )

    environment = {"GOMEMLIMIT": str(memory_bytes), "HOME": "/nonexistent", "PATH": "/nonexistent"}
    return Program(OPA, "bundle.tar.gz", archive, argv, leashed=True, environment=environment)


def _pack(bundle: Bundle) -> bytes:
    return json.dumps({"modules": dict(bundle.modules), "data": bundle.data}).encode()
