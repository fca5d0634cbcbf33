"""Opens the look-ups where there is something to look up: in a container that has Docker's DNS."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from edge.origin.links import is_embedded
from edge.tasks import Tasks
from policies.origin import Container

Origin: TypeAlias = Callable[[str, int], Container | None]
"""The container at a peer's address, as far as it is known; never waits. The peer's port tells a new connection."""

_RESOLV: Final = Path("/etc/resolv.conf")
_log = logging.getLogger(__name__)


def unknown(ip: str, port: int) -> Container | None:  # noqa: ARG001 - an Origin
    """Where nothing can be known: on a host, and in containers without Docker's DNS."""
    return None


def open_origins(tasks: Tasks, clock: Callable[[], float], *, wanted: bool, resolv: Path = _RESOLV) -> Origin:
    """Look-ups if they are `wanted` and `resolv` names Docker's DNS; `clock` is monotonic seconds."""
    if not wanted or not _embedded(resolv):
        return unknown
    from edge.origin.docker_dns import DockerDns  # dnspython: 70 ms, only where it has somebody to ask
    from edge.origin.finder import Finder, own_address
    from edge.origin.origins import Origins

    _log.info("callers' containers are looked up in Docker's DNS")
    return Origins(Finder(DockerDns(), own_address).find, tasks, clock)


def _embedded(resolv: Path) -> bool:
    try:
        return is_embedded(resolv.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return False
