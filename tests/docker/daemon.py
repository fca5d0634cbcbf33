"""Docker's command line; and an engine of our own, started where none answers and stopped at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from policies.json import Object, as_list, as_object
from tests.system.process import ROOT, Ended, until
from tests.system.wire import loads

KEPT: Final = ROOT / ".cache" / "docker"
"""What `requirements/docker.sh` makes, and what images are built from."""

_UP_WITHIN: Final = 60.0


def why_not() -> str:
    """Why containers cannot be had here; "" if they can."""
    if not sys.platform.startswith("linux"):
        return "the tests with containers need Debian; this is " + sys.platform
    if os.geteuid() != 0:
        return "the tests with containers need root, to make a base image and to start Docker's engine"
    if shutil.which("apt-get") is None:
        return "the tests with containers need Debian: no apt-get here"
    return ""


def call(*argv: str, within: float = 120.0, env: dict[str, str] | None = None, stdin: bytes | None = None) -> Ended:
    """Run a command to its end, in the project's folder."""
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=within,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def docker(*arguments: str, within: float = 120.0, stdin: bytes | None = None) -> str:
    """What a command of Docker's prints, which must succeed."""
    ended = call("docker", *arguments, within=within, stdin=stdin)
    assert ended.code == 0, f"docker {' '.join(arguments)}: {ended.err}{ended.out}"
    return ended.out.strip()


def inspect(what: str) -> Object:
    """Docker's description of a container or an image."""
    return as_object(as_list(loads('{"a":' + docker("inspect", what) + "}")["a"])[0])


@contextmanager
def engine(folder: Path) -> Iterator[None]:
    """An engine that answers: the one that runs, else one of our own for as long as this lasts."""
    if _answers():
        yield
        return
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(("dockerd",), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(_answers, _UP_WITHIN, f"dockerd answers; see {folder}/dockerd.log")
        yield
    finally:
        process.terminate()
        process.wait(_UP_WITHIN)


def _answers() -> bool:
    return call("docker", "version", "--format", "{{.Server.Version}}").code == 0
