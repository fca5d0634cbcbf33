"""The door of a TLS listener: who may come in is judged before a byte is read, and before OpenSSL works for a stranger.

asyncio's own server would begin the handshake first and show the peer after it. So connections are accepted here: one
from elsewhere, or one too many, is reset on the spot; handshakes that run count in the census like every connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as tls
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from edge.listener.floor import Floor
from edge.listener.link import resets
from edge.tasks import Tasks
from policies.exchange import Client
from policies.sources import source_of

if TYPE_CHECKING:
    from edge.listener.connection import Connection

LOG: Final = logging.getLogger("edge.listener")
_PAUSE: Final = 0.05
"""Seconds without accepting after accept(2) failed: for want of descriptors it would fail again and again."""


class TlsDoor:
    """Accepts on `sockets`, which are its own from now on. `make` makes the connection of a peer that was let in."""

    def __init__(
        self,
        floor: Floor,
        context: tls.SSLContext,
        make: Callable[[Client], Connection],
        sockets: Sequence[socket.socket],
    ) -> None:
        self.sockets = tuple(sockets)
        self._floor = floor
        self._context = context
        self._make = make
        self._tasks = Tasks()
        self._failing = False
        for sock in self.sockets:
            _ = self._tasks.start(self._accept(sock), name=f"accepting on {floor.name}")

    async def close(self) -> None:
        """Stop accepting and cut handshakes: none of them has asked for anything yet. Safe to call again."""
        await self._tasks.close()
        sockets, self.sockets = self.sockets, ()
        for sock in sockets:
            sock.close()

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(sock)
            except OSError as error:
                self._failed(error)
                await asyncio.sleep(_PAUSE)
                continue
            self._failing = False
            self._judge(peer, address)
            await asyncio.sleep(0)  # `sock_accept` does not yield while there are more: a flood would stop all else

    def _judge(self, peer: socket.socket, address: object) -> None:
        """Never raises: no stranger may end the accepting."""
        # macOS gives no address for a peer that has reset its connection by now.
        if not isinstance(address, tuple):
            peer.close()
            return
        client = Client(str(address[0]).removeprefix("::ffff:"), int(address[1]), self._floor.name)
        if self._floor.admits(client.ip):
            _ = self._tasks.start(self._shake_hands(client, peer), name=f"handshake on {self._floor.name}")
            return
        resets(peer)
        peer.close()

    async def _shake_hands(self, client: Client, peer: socket.socket) -> None:
        limits = self._floor.limits
        connection = self._make(client)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                peer,
                ssl=self._context,
                ssl_handshake_timeout=limits.tls_handshake_s,
                ssl_shutdown_timeout=limits.tls_shutdown_s,
            )
        except OSError as error:  # ssl.SSLError and timeouts are among them
            # The text of OpenSSL's errors is constant; what the peer sent is not in it.
            LOG.debug("listener %s: no TLS with a caller: %s", self._floor.name, type(error).__name__)
        finally:
            if not connection.entered:
                self._floor.census.release(source_of(client.ip), stranger=True)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            LOG.warning("listener %s cannot accept: %s", self._floor.name, error.strerror or type(error).__name__)
        self._failing = True


def bound(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets at `host`, an address or a name, as `loop.create_server` makes them. OSError."""
    found: list[socket.socket] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            found.append(socket.create_server(address[:2], family=family, backlog=backlog))  # IPV6_V6ONLY, SO_REUSEADDR
            found[-1].setblocking(False)
    except OSError:
        for sock in found:
            sock.close()
        raise
    return found
