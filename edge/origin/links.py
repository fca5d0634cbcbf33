"""What the system's own files say: whether Docker's DNS is there, and which addresses are next to this machine. Pure.

Only those are asked about. Docker passes what it does not know on to the DNS of the host, which should not hear of
callers from elsewhere, and whose word for them would be a stranger's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

EMBEDDED: Final = "127.0.0.11"
"""Where Docker answers in every container on a network of its user's; nobody else does there."""

_BITS: Final = 128
_UP: Final = 0x1
_GATEWAY: Final = 0x2
_REJECT: Final = 0x200
_LOCAL: Final = 0x80000000
_ROUTE: Final = (1, 2, 3, 7)  # destination, gateway, flags, mask
_ROUTE6: Final = (0, 1, 4, 8)  # destination, its length, next hop, flags


def is_embedded(resolv_conf: str) -> bool:
    """Whether the name server that this `resolv.conf` names first is Docker's own."""
    servers = (line.split() for line in resolv_conf.splitlines())
    return next((words[1] for words in servers if len(words) > 1 and words[0] == "nameserver"), "") == EMBEDDED


def is_neighbour(ip: str, routes: str, routes6: str) -> bool:
    """Whether `ip` is reached without a router, by the texts of /proc/net/route and /proc/net/ipv6_route."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if address.is_loopback or address.is_link_local:
        return False
    if isinstance(address, IPv4Address):
        return any(int(address) & mask == network for network, mask in _links(routes))
    return any(int(address) >> (_BITS - bits) == network for network, bits in _links6(routes6))


def _links(routes: str) -> Iterator[tuple[int, int]]:
    """(network, mask). The numbers are what the machine holds in memory: 172.18.0.0 is 000012AC on x86 and Arm."""
    for words in map(str.split, routes.splitlines()[1:]):
        try:
            network, gateway, flags, mask = (int(words[i], 16) for i in _ROUTE)
            parts = [int.from_bytes(number.to_bytes(4, sys.byteorder), "big") for number in (network, mask)]
        except (ValueError, IndexError, OverflowError):
            continue
        if flags & _UP and not flags & _GATEWAY and not gateway and parts[1]:
            yield parts[0], parts[1]


def _links6(routes: str) -> Iterator[tuple[int, int]]:
    """(the first bits of the network, how many)."""
    for words in map(str.split, routes.splitlines()):
        try:
            network, bits, hop, flags = (int(words[i], 16) for i in _ROUTE6)
            IPv6Address(network)
        except (ValueError, IndexError):
            continue
        if 0 < bits <= _BITS and flags & _UP and not flags & (_GATEWAY | _REJECT | _LOCAL) and not hop:
            yield network >> (_BITS - bits), bits
