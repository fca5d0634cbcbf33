"""What has to be built: two programs in Go (standard library only), `go/engine` and `go/reader`; our own byte code."""

from __future__ import annotations

import compileall
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from tests.system.process import ROOT

SOURCES: Final = Path(__file__).parent / "go"
_BUILT: Final = ROOT / ".cache" / "bench"
_OURS: Final = ("edge", "engines", "observability", "policies")
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
    """All of it, before anything is measured.

    pip compiles what it installs, and Python what it imports from a checkout. Where PYTHONDONTWRITEBYTECODE is set, as
    in many containers, nobody does, and each start of the gateway would compile its 400 modules: 0.35 s.
    """
    for name in ("engine", "reader"):
        _ = program(name)
    for package in _OURS:
        if not compileall.compile_dir(ROOT / package, quiet=1):
            raise RuntimeError(f"{package} does not compile")
