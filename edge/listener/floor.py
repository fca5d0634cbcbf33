"""What all connections of one listener share."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from edge.listener.census import Census
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Handler, Rejected
from edge.listener.limits import ListenerLimits
from policies.decision import within
from policies.principal import Network
from policies.sources import source_of

if TYPE_CHECKING:
    from edge.listener.connection import Connection

LOG: Final = logging.getLogger("edge.listener")


@dataclass(slots=True, eq=False)
class Floor:
    """The listener's collaborators, and who is on the floor: all `connections`, and those with a running handler."""

    handler: Handler
    rejected: Rejected
    name: str
    limits: ListenerLimits
    hosts: HostPolicy
    census: Census
    networks: tuple[Network, ...] = ()
    """Where peers may come from; empty = anywhere."""
    foreign: int = 0
    """Connections from elsewhere, closed at the door."""
    connections: set[Connection] = field(default_factory=set)
    busy: set[Connection] = field(default_factory=set)
    draining: bool = False
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever no request is being served."""

    def admits(self, ip: str) -> bool:
        """Whether a new connection from peer address `ip` may come in; it is counted in the census then."""
        if self.networks and not within(ip, self.networks):
            self.foreign += 1
            if _telling(self.foreign):
                LOG.warning(
                    "listener %s: %d connections from outside of its networks closed at the door, the last from %s",
                    self.name,
                    self.foreign,
                    source_of(ip),
                )
            return False
        if self.census.admit(source_of(ip)):
            return True
        if _telling(self.census.refused):
            LOG.warning(
                "listener %s: %d connections closed at the door, too many are open", self.name, self.census.refused
            )
        return False

    def enter(self, connection: Connection) -> None:
        """A request has arrived."""
        self.busy.add(connection)
        self.quiet.clear()

    def leave(self, connection: Connection) -> None:
        """Its handler is over, or never started; harmless if called again."""
        self.busy.discard(connection)
        if not self.busy:
            self.quiet.set()


def _telling(count: int) -> bool:
    """1, 2, 4, 8...: a flood of connections must not become a flood of lines."""
    return count & (count - 1) == 0
