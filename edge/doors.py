"""The listeners of the data plane as the configuration asks for them, and what is said of an open one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.config.settings import Listener as ListenerSettings
from edge.config.values import Bind
from edge.listener.census import Census
from edge.listener.hosts import HostPolicy
from edge.listener.inbound import Handler, Rejected
from edge.listener.limits import ListenerLimits
from edge.listener.server import Listener

if TYPE_CHECKING:
    from edge.tls.keeper import Keeper
    from edge.tls.names import Names


@dataclass(frozen=True, slots=True)
class Door:
    """One open listener: its name and where it really listens."""

    name: str
    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        """How to call it from this machine."""
        return f"{'https' if self.tls else 'http'}://{Bind(self.host, self.port).reachable}"

    @property
    def exposed(self) -> bool:
        """Whether others than this machine reach it, in the clear."""
        return not (self.tls or Bind(self.host, self.port).loopback)


def listener_of(handler: Handler, rejected: Rejected, settings: ListenerSettings, tls: Keeper | None) -> Listener:
    """The listener of `settings`, not started yet. TlsError or StateError if its certificate cannot be used."""
    limits: ListenerLimits = settings.limits
    return Listener(
        handler,
        rejected,
        name=settings.name,
        limits=limits,
        hosts=_hosts(settings, tls.open() if tls is not None else None),
        ssl=tls.context if tls is not None else None,
        networks=settings.networks,
        census=Census(limits),
    )


def _hosts(settings: ListenerSettings, certified: Names | None) -> HostPolicy:
    """A listener answers to the names in its certificate, too: who is sent here by another name sees a wrong one."""
    names = settings.hosts if certified is None else (*settings.hosts, *certified.dns, *map(str, certified.addresses))
    return HostPolicy.of(settings.bind.host, names)


def rename(listener: Listener, settings: ListenerSettings, certified: Names) -> None:
    """It has a new certificate, maybe for other names."""
    listener.answer_to(_hosts(settings, certified))
