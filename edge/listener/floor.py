"""What all connections of one listener share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.listener.census import Census
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Handler, Rejected
from edge.listener.limits import ListenerLimits

if TYPE_CHECKING:
    from edge.listener.connection import Connection


@dataclass(slots=True, eq=False)
class Floor:
    """The listener's collaborators, and who is on the floor: all `connections`, and those with a running handler."""

    handler: Handler
    rejected: Rejected
    name: str
    limits: ListenerLimits
    hosts: HostPolicy
    census: Census
    connections: set[Connection] = field(default_factory=set)
    busy: set[Connection] = field(default_factory=set)
    draining: bool = False
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever no request is being served."""

    def enter(self, connection: Connection) -> None:
        """A request has arrived."""
        self.busy.add(connection)
        self.quiet.clear()

    def leave(self, connection: Connection) -> None:
        """Its handler is over, or never started; harmless if called again."""
        self.busy.discard(connection)
        if not self.busy:
            self.quiet.set()
