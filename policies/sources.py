"""The unit of blame: which peer addresses count as one source, for lock-out and for connection caps alike.

One host gets a whole IPv6 /64 (RFC 4291 2.5.4, RFC 8981: it makes up new addresses in it as it likes), so counting
single IPv6 addresses would give an attacker 2**64 fresh starts. An IPv4-mapped address is what a dual-stack socket
shows for an IPv4 peer: it must not be a second identity beside the plain one, nor may all of IPv4 fall into the one
/64 of `::ffff:0:0`.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

NOWHERE: Final = "-"
"""The source of whatever has no IP address: a UNIX socket's peer, and garbage."""

_HOST_BITS: Final = 64


@lru_cache(maxsize=4096)
def source_of(ip: str) -> str:
    """The source of peer address `ip`: `192.0.2.1` of an IPv4 one, `2001:db8::/64` of an IPv6 one, else NOWHERE.

    Raises nothing. All that is no address is one source, so that no spelling of garbage is a fresh start, and none of
    it is kept or logged. A zone id (RFC 4007 11, `fe80::1%eth0`) says which of our links, not who: it is left out.
    """
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return NOWHERE
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/{_HOST_BITS}"
        address = address.ipv4_mapped
    return str(address)
