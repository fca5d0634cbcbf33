"""This machine's names and addresses, as of now: a laptop changes both when it changes the network."""

from __future__ import annotations

import ctypes
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from edge.tls.names import Address, Names


class _SocketAddress(ctypes.Structure):
    """struct sockaddr. BSD has the length in the first byte, and the family in the second only."""

    _fields_ = (("family", ctypes.c_uint16), ("data", ctypes.c_ubyte * 26))


class _Interface(ctypes.Structure):
    """struct ifaddrs, as far as it is read; Linux and macOS agree on that much."""


_Interface._fields_ = (  # a structure that points to itself is completed this way
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(_SocketAddress)),
)


def machine() -> Names:
    """Its host name, if that has a domain, the mDNS name it has or would have, and the addresses of its interfaces.

    Not `studio` alone: what an authority may sign for it may sign for all below, and .studio, .dev and .box are on the
    internet. Who wants such a name has `hosts`.
    """
    name, _, domain = socket.gethostname().lower().partition(".")
    return Names.of((f"{name}.local", *([f"{name}.{domain}"] if domain else [])), addresses())


def addresses() -> list[Address]:
    """The addresses of all interfaces that have one; none where the system does not tell."""
    try:
        library = ctypes.CDLL(None)  # what this process has loaded: libc among it
        first = ctypes.POINTER(_Interface)()
        if library.getifaddrs(ctypes.byref(first)) != 0:
            return []
    except (OSError, AttributeError):
        return []
    try:
        return list(_walk(first))
    finally:
        library.freeifaddrs(first)


def _walk(pointer: ctypes._Pointer[_Interface]) -> Iterator[Address]:
    while bool(pointer):  # NULL is false
        interface = pointer.contents
        if interface.address and (address := _read(interface.address.contents)) is not None:
            yield address
        pointer = interface.next


def _read(found: _SocketAddress) -> Address | None:
    """sin_addr follows the port at byte 4 of the whole, sin6_addr the flow label at byte 8."""
    family = found.family >> 8 if sys.platform == "darwin" else found.family
    if family == socket.AF_INET:
        return IPv4Address(bytes(found.data[2:6]))
    if family == socket.AF_INET6:
        address = IPv6Address(bytes(found.data[6:22]))
        # A link-local address means nothing without its interface, and no URL of a client can name that.
        return None if address.is_link_local else address
    return None
