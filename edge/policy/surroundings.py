"""What a policy may know of when and where, worked out here so that no policy needs a clock or network arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from policies.decision import plain_address, within
from policies.exchange import Client
from policies.input import Instant, Place
from policies.origin import NO_CONTAINER, Container
from policies.principal import Network

_SECOND: Final = 1_000_000_000
_ADDRESSES: Final = 4096


class Surroundings:
    """`networks` are the configured names for address ranges; `zone` is "local" or a name of the IANA database."""

    def __init__(
        self, networks: Mapping[str, tuple[Network, ...]], ports: Mapping[str, int], *, zone: str = "local"
    ) -> None:
        """`ports`: of each listener, by its name. ZoneInfoNotFoundError, a KeyError, for an unknown `zone`."""
        self._networks = dict(sorted(networks.items()))
        self._ports = dict(ports)
        self._zone: tzinfo | None = None if zone == "local" else ZoneInfo(zone)
        self._places = lru_cache(maxsize=_ADDRESSES)(self._find)
        self._second: tuple[int, Instant] | None = None

    def place(self, client: Client, container: Container | None = None) -> Place:
        """Where `client` is; `container`: the one there, if that is known."""
        return self._places(client.ip, client.listener, container or NO_CONTAINER)

    def instant(self, now_ns: int) -> Instant:
        """The moment, in the policy's time zone."""
        second = now_ns // _SECOND
        if self._second is None or self._second[0] != second:
            self._second = second, self._instant(second)
        same = self._second[1]
        return Instant(now_ns, same.iso, same.hour, same.minute, same.weekday, same.tz)

    def _instant(self, second: int) -> Instant:
        here = datetime.fromtimestamp(second, UTC).astimezone(self._zone)
        name = getattr(self._zone, "key", None) or here.tzname() or ""
        return Instant(second * _SECOND, here.isoformat(), here.hour, here.minute, here.weekday(), name)

    def _find(self, ip: str, listener: str, container: Container) -> Place:
        names = tuple(name for name, networks in self._networks.items() if within(ip, networks))
        port = self._ports.get(listener, 0)
        return Place(plain_address(ip), names, listener, port, container=container)
