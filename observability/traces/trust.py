"""Whose trace context counts. A stranger's `traceparent` must not decide what is kept, nor write into others' traces.

untrusted   a new trace; the caller's span is kept as a link, its flags and tracestate are not
trusted     the caller's trace goes on, its sampled flag counts (`sampling.py` says how far)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policies.decision import within
from policies.principal import Network


class Trust(StrEnum):
    """Who is trusted at a listener."""

    NONE = "none"
    AUTHENTICATED = "authenticated"
    NETWORKS = "networks"


@dataclass(frozen=True, slots=True)
class ListenerTrace:
    """Whose `traceparent` a listener believes: nobody's, that of callers with a valid credential, or that of peers in
    `networks`. ValueError where the two do not fit."""

    trust: Trust = Trust.NONE
    networks: tuple[Network, ...] = ()

    def __post_init__(self) -> None:
        if (self.trust is Trust.NETWORKS) is not bool(self.networks):
            raise ValueError("trust: networks, and only that, needs `networks`")

    def believes(self, ip: str, *, authenticated: bool) -> bool:
        """Whether a caller from address `ip` is trusted."""
        match self.trust:
            case Trust.NONE:
                return False
            case Trust.AUTHENTICATED:
                return authenticated
            case Trust.NETWORKS:
                return within(ip, self.networks)


NOBODY: Final = ListenerTrace()
