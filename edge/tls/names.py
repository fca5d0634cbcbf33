"""Which names and addresses a certificate has to say, and which an authority may say at all. Pure.

An authority that laptops trust can impersonate whatever it may sign for. RFC 5280 4.2.1.10 lets a certificate say what
that is: ours is confined to names that mean this machine or nothing on the internet, and to addresses that no router
of the internet carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Range: TypeAlias = IPv4Network | IPv6Network

# As RFC 1123 2.1, with the underscore that Docker and Windows allow; a certificate's dNSName is ASCII (RFC 5280).
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*\Z"
)

ALWAYS: Final = ("localhost", "llm-gateway", "host.docker.internal")
"""The names that every listener answers to (edge/listener/hosts.py)."""
LOOPBACK: Final[tuple[Address, ...]] = (ip_address("127.0.0.1"), ip_address("::1"))
OPEN_NAMES: Final = ("local", *ALWAYS)
"""What every authority may sign for, and what lies below: mDNS names (RFC 6762 3) mean a host of this link only."""
OPEN_RANGES: Final[tuple[Range, ...]] = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # link-local
        "100.64.0.0/10",  # RFC 6598: Tailscale and other carriers' ranges
        "::1/128",
        "fc00::/7",  # RFC 4193
        "fe80::/10",
    )
)


@dataclass(frozen=True, slots=True)
class Names:
    """DNS names in lower case and addresses, each once and in order, so that equal contents are equal."""

    dns: tuple[str, ...]
    addresses: tuple[Address, ...]

    @classmethod
    def of(cls, dns: Iterable[str], addresses: Iterable[Address]) -> Names:
        """Sorted, each once, and without what cannot stand in a certificate (a machine may be called anything). IPv6
        addresses lose their zone: it means nothing to a peer."""
        names = {name.lower().rstrip(".") for name in dns}
        plain = {ip_address(str(address).partition("%")[0]) for address in addresses}
        return cls(tuple(sorted(filter(_NAME.match, names))), tuple(sorted(plain, key=lambda a: (a.version, int(a)))))

    def __str__(self) -> str:
        return ", ".join((*self.dns, *map(str, self.addresses)))


def names_of(bind: str, hosts: Iterable[str], machine: Names) -> Names:
    """What the certificate of a listener on address `bind` has to say: how callers may write its URL.

    `hosts`: the configured names. On a wildcard all of the machine's addresses are the listener's; on loopback none.
    """
    own = ip_address(bind)
    dns = [*ALWAYS, *(name for name in hosts if not _is_address(name))]
    addresses = [*LOOPBACK, *(ip_address(name) for name in hosts if _is_address(name))]
    if own.is_unspecified:
        # Those of the other family too: a forwarder may lead from the one to the other.
        addresses += machine.addresses
    else:
        addresses.append(own)
    if not own.is_loopback:
        dns += machine.dns
    return Names.of(dns, addresses)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an authority may sign for: `dns` and all names below them, and `ranges`."""

    dns: tuple[str, ...]
    ranges: tuple[Range, ...]

    @classmethod
    def around(cls, names: Names) -> Bounds:
        """What every authority may, and `names`, as far as that does not cover them."""
        open_bounds = cls(OPEN_NAMES, OPEN_RANGES)
        dns = tuple(name for name in names.dns if not open_bounds.allow_name(name))
        ranges = tuple(ip_network(address) for address in names.addresses if not open_bounds.allow_address(address))
        return cls((*OPEN_NAMES, *dns), (*OPEN_RANGES, *ranges))

    def split(self, names: Names) -> tuple[Names, Names]:
        """(what of `names` may be signed, the rest)."""
        inside = Names.of(filter(self.allow_name, names.dns), filter(self.allow_address, names.addresses))
        outside = Names.of(set(names.dns) - set(inside.dns), set(names.addresses) - set(inside.addresses))
        return inside, outside

    def allow_name(self, name: str) -> bool:
        """RFC 5280 4.2.1.10: "Any DNS name that can be constructed by simply adding zero or more labels to the
        left-hand side of the name satisfies the name constraint"."""
        return any(name == base or name.endswith(f".{base}") for base in self.dns)

    def allow_address(self, address: Address) -> bool:
        return any(address.version == each.version and address in each for each in self.ranges)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
