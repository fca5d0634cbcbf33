"""Which names this gateway answers to: the guard against DNS rebinding.

A web page on evil.example whose name is re-pointed at 127.0.0.1 reaches a loopback listener past the same-origin
policy, but the browser still sends `Host: evil.example`. Ollama (CVE-2024-28224) and MCP servers were read this way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

# RFC 9110 7.2: "Host = uri-host [ ":" port ]", RFC 3986 3.2.2 for uri-host without its percent-encoding and sub-delims,
# which no DNS name has. No userinfo, no path, no comma, no zone identifier.
_HOST: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}))(?::([0-9]{1,5}))?", re.ASCII
)
_MAX_PORT: Final = 65_535

DEFAULT_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "llm-gateway", "host.docker.internal"})
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "[::]"})  # noqa: S104 - compared with, never bound to


@lru_cache(maxsize=256)
def split_host(value: str) -> str | None:
    """The lower-case host of a `Host` value without its port; None if the value is not valid."""
    match = _HOST.fullmatch(value)
    if match is None or (match[2] is not None and int(match[2]) > _MAX_PORT):
        return None
    return match[1].lower()


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """The names a request's `Host` may have, with any port (a published container port differs from ours).

    `any_address` also lets every IP literal in: a name can be rebound, an address cannot. It is what a listener on all
    interfaces needs, whose callers use the machine's LAN or VPN address.
    """

    names: frozenset[str] = DEFAULT_NAMES
    any_address: bool = False

    @classmethod
    def of(cls, bind: str, names: Iterable[str] = ()) -> HostPolicy:
        """The policy of a listener bound to host `bind` (no port) that is also known by `names`."""
        own = _bracketed(bind.lower())
        known = DEFAULT_NAMES | {_bracketed(name.lower()) for name in names}
        if own in _WILDCARDS:
            return cls(known, any_address=True)
        return cls(known | {own})

    def allows(self, host: str) -> bool:
        """Whether `host`, as `split_host` returns it, is one of ours."""
        return host in self.names or (self.any_address and _is_address(host))


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
