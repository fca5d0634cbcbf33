"""Containers without an image: an empty one, with this machine's programs and this source tree mounted read-only.

Enough to run the gateway and curl on networks of Docker's, in a second and without a download.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.docker.daemon import call, docker
from tests.system.process import ROOT

_SYSTEM: Final = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives")


def mounts(*more: Path) -> list[str]:
    """The arguments that mount what the programs need; `more` can be written to."""
    needed = {*map(Path, _SYSTEM), ROOT, Path(sys.prefix), Path(sys.base_prefix)}
    # What is mounted already with a folder above it would be a mount point within a read-only mount.
    here = [
        path for path in sorted(needed) if path.exists() and not any(path != up and up in path.parents for up in needed)
    ]
    return [
        *(word for path in here for word in ("--volume", f"{path}:{path}:ro")),
        *(word for path in more for word in ("--volume", f"{path}:{path}")),
    ]


@contextmanager
def bare_image(name: str) -> Iterator[str]:
    """An image with nothing in it, called `name`."""
    docker("import", "-", name, stdin=b"\0" * 10240)
    try:
        yield name
    finally:
        call("docker", "rmi", "--force", name)


@contextmanager
def network(name: str) -> Iterator[str]:
    """A network of Docker's, called `name`; the address of this machine in it."""
    docker("network", "create", name)
    try:
        yield docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name)
    finally:
        call("docker", "network", "rm", name)


class Containers(ExitStack):
    """Those of one test, on one network; removed at its end."""

    def __init__(self, image: str, network: str) -> None:
        super().__init__()
        self._image = image
        self._network = network

    def start(self, name: str, *command: str, options: tuple[str, ...] = (), writable: tuple[Path, ...] = ()) -> str:
        """Start `command` in a container called `name`; its id."""
        words = ("--detach", "--init", "--name", name, "--network", self._network, *options, *mounts(*writable))
        self.callback(call, "docker", "rm", "--force", "--volumes", name)
        return docker("run", *words, self._image, *command)

    def sleeper(self, name: str, *aliases: str) -> None:
        """One that does nothing, until something is run in it."""
        named = tuple(word for alias in aliases for word in ("--network-alias", alias))
        self.start(name, "/usr/bin/sleep", "600", options=named)
