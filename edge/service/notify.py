"""Says to systemd how the gateway is: sd_notify(3), which is one datagram."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping


def tell(environ: Mapping[str, str], state: str) -> None:
    """Send `state`, like "READY=1"; nothing where no systemd asked for it, and no error if it does not listen."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        # An abstract address has NUL where the variable has @.
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(state.encode())
