"""Puts TLS together: settings and the state folder in, a keeper for each listener that has `tls:` out."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from edge.config.settings import Listener
from edge.tls.authority import Authority, new_authority
from edge.tls.keeper import Keeper
from edge.tls.machine import machine
from edge.tls.names import Names, names_of
from edge.tls.settings import CertificateFiles
from edge.tls.sources import Given, Issued, Source
from edge.tls.store import Store


def open_keepers(listeners: Sequence[Listener], home: Path, now: Callable[[], float]) -> Mapping[str, Keeper]:
    """A keeper, not yet opened, for each of `listeners` that has `tls:`, by its name. StateError."""
    store = Store(home)
    store.make_folder()
    authority = partial(open_authority, store, listeners)
    return {
        each.name: Keeper(each.name, _source(each, store, authority), store.folder, now=now)
        for each in listeners
        if each.tls is not None
    }


def open_authority(store: Store, listeners: Sequence[Listener], now: datetime) -> Authority:
    """The authority of the state folder, made for `listeners` if there is none. StateError, TlsError."""
    return store.open_authority(socket.gethostname(), partial(wanted_of_all, listeners), now)


def rotate_authority(store: Store, listeners: Sequence[Listener], now: datetime) -> Authority:
    """Another authority in place of the one there may be; what that has signed is worth nothing from now on."""
    made = new_authority(socket.gethostname(), wanted_of_all(listeners), now)
    store.replace_authority(made)
    return made


def wanted_of(listener: Listener) -> Names:
    """What the certificate of `listener` has to say now."""
    return names_of(listener.bind.host, listener.hosts, machine())


def wanted_of_all(listeners: Sequence[Listener]) -> Names:
    """What those of all listeners have to say whose certificates are made here."""
    found = [wanted_of(each) for each in listeners if each.tls == "auto"]
    return Names.of((name for each in found for name in each.dns), (ip for each in found for ip in each.addresses))


def _source(listener: Listener, store: Store, authority: Callable[[datetime], Authority]) -> Source:
    if isinstance(listener.tls, CertificateFiles):
        return Given(listener.tls)
    return Issued(store, listener.name, authority, partial(wanted_of, listener))
