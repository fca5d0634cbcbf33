"""All that is asked about one address."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from edge.origin.links import is_neighbour
from edge.origin.names import Labels, container_of, guesses
from policies.origin import Container

_PROC: Final = Path("/proc/net")


class Dns(Protocol):
    """What is asked; both raise LookupFailed."""

    async def name_of(self, ip: str) -> Labels: ...

    async def has(self, name: str, ip: str) -> bool: ...


class Finder:
    """`own_address` gives the address by which this machine talks to one that is next to it, None to any other."""

    def __init__(self, dns: Dns, own_address: Callable[[str], str | None]) -> None:
        self._dns = dns
        self._own_address = own_address

    async def find(self, ip: str) -> Container | None:
        """The container at `ip`, None if there is none that we could know. LookupFailed."""
        own = self._own_address(ip)
        if own is None or own == ip:
            return None
        peer = await self._dns.name_of(ip)
        found = container_of(peer, await self._dns.name_of(own)) if peer else None
        if found is None:
            return None
        for guess in guesses(found):
            if await self._dns.has(f"{guess.service}.{found.network}", ip):
                return guess
        return found


def own_address(ip: str) -> str | None:
    """See `Finder`; by the route table of the moment: a container can join networks while it runs."""
    try:
        # Files of the kernel's, which wait for no disk; an IPv6 table is missing where IPv6 is off.
        six = _PROC / "ipv6_route"
        if not is_neighbour(ip, (_PROC / "route").read_text(), six.read_text() if six.exists() else ""):
            return None
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, 9))  # sends nothing: it only chooses the address
            return str(probe.getsockname()[0])
    except OSError:
        return None
