"""The two programs in Go (standard library only), built when they are first asked for: `go/engine`, `go/reader`."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from tests.system.process import ROOT

SOURCES: Final = Path(__file__).parent / "go"
_BUILT: Final = ROOT / ".cache" / "bench"
_OFFLINE: Final = {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false", "GOTOOLCHAIN": "local", "GOPROXY": "off"}


@cache
def program(name: str) -> Path:
    """The path of the program, built from its sources as they are now (Go keeps what has not changed)."""
    _BUILT.mkdir(parents=True, exist_ok=True)
    target = _BUILT / name
    subprocess.run(("go", "build", "-o", str(target), f"./{name}"), cwd=SOURCES, env=environment(), check=True)
    return target


def environment() -> dict[str, str]:
    """Of Go's own program: nothing is fetched."""
    return {**os.environ, **_OFFLINE}


def build() -> None:
    """All of them, before anything is measured."""
    for name in ("engine", "reader"):
        _ = program(name)
