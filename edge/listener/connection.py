"""One caller's connection: the incoming half, and one request after the other.

    IDLE -> HEAD -> BODY -> BUSY -> ANSWERED -> IDLE       and from anywhere -> LINGER -> CLOSED

aiohttp gives the C parser, the stream reader and the flow control between them. Its `data_received` and `start` are
replaced: they queue pipelined requests (and stop seeing the disconnect behind them, F3), keep no header or body
deadline (F6), swallow an unread upload for ten seconds (F4), and quote the offending header in the error and in the
log (F5).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Final, cast

from aiohttp.web_server import Server

from edge.listener.floor import Floor
from edge.listener.framer import Arrival, Framer, Parser
from edge.listener.head import answer_head, length
from edge.listener.link import Link, Phase
from edge.listener.request import AiohttpInbound
from policies.errors import Refusal
from policies.exchange import Client
from policies.reasons import Reason
from policies.sources import source_of

LOG: Final = logging.getLogger("edge.listener")
DRAIN: Final = "drain"
"""The message of the CancelledError by which a drain cuts a request; `AiohttpInbound.cut` survives task groups too."""


class Connection(Link):
    """One connection. `cut` says that a drain ended its request."""

    __slots__ = (
        "_admitted",
        "_client",
        "_close_after",
        "_floor",
        "_framer",
        "_held",
        "_inbound",
        "_requests",
        "_source",
        "_stranger",
        "_task",
        "_wake",
        "cut",
        "entered",
    )

    def __init__(
        self, manager: Server, floor: Floor, loop: asyncio.AbstractEventLoop, admitted: Client | None = None
    ) -> None:
        """`admitted`: the peer, where the door has let it in already."""
        super().__init__(manager, floor.limits, loop)
        self._floor = floor
        self._framer = Framer(cast(Parser, self._parser), floor.hosts, floor.limits)
        self._admitted = admitted is not None
        self._client = admitted or Client("", 0, floor.name)
        self._source = ""
        self._stranger = True
        self._held = b""
        self._requests = 0
        self._close_after = False
        self._inbound: AiohttpInbound | None = None
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self.cut = False
        self.entered = False
        """Whether it was ever open; it gives its place in the census back by itself then."""

    # -- coming and going

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast(asyncio.Transport, transport)
        peer = wire.get_extra_info("peername")
        if isinstance(peer, tuple) and not self._admitted:
            self._client = Client(peer[0].removeprefix("::ffff:"), peer[1], self._floor.name)
        self._source = source_of(self._client.ip)
        if not (self._admitted or self._floor.admits(self._client.ip)):
            self._manager = None  # connection_lost has nothing to undo
            self._turn_away(wire)
            return
        session = wire.get_extra_info("ssl_object")
        if session is not None:
            self._client = replace(self._client, tls=session.version() or "")
        self.entered = True
        self._wire = wire
        self._floor.connections.add(self)
        super().connection_made(transport)
        self._task = self._task_handler
        self._deadline.set(self._limits.header_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is None:
            return
        self._phase = Phase.CLOSED
        self._deadline.stop()
        self._floor.connections.discard(self)
        self._floor.census.release(self._source, stranger=self._stranger)
        if self._inbound is not None and self._inbound.complete:
            # The caller has its answer and may go (Codex closes on `response.completed`): the handler may settle.
            self._task_handler = None
        super().connection_lost(exc)
        self._framer.close()

    def eof_received(self) -> None:
        """A caller that closes its half counts as gone. The transport would close with a FIN, see `abort`."""
        if self._inbound is not None and self._inbound.answered and not self._inbound.complete:
            self.abort()

    def mark_authenticated(self) -> None:
        """The caller showed a valid credential once: it leaves the unauthenticated share."""
        if self._stranger and self._wire is not None:
            self._stranger = False
            self._floor.census.authenticated()

    # -- reading

    def data_received(self, data: bytes) -> None:
        """Take bytes; b"" comes from the body's flow control and lets the parser go on with what it has."""
        match self._phase:
            case Phase.IDLE | Phase.HEAD:
                if data:
                    self._read_head(data)
            case Phase.BODY | Phase.BUSY:
                self._read_body(data)
            case Phase.ANSWERED:
                # The next request, a moment before the handler is through with the last one.
                if data:
                    self._held += data
                    self._pause_transport_reading()
            case Phase.LINGER:
                self.discard(len(data))
            case Phase.CLOSED:
                pass

    def _read_head(self, data: bytes) -> None:
        if self._phase is Phase.IDLE:
            self._phase = Phase.HEAD
            self._deadline.set(self._limits.header_s)
        try:
            arrival = self._framer.head(data)
        except Refusal as refusal:
            self.refuse(refusal)
            return
        if arrival is not None:
            self._arrived(arrival)

    def _arrived(self, arrival: Arrival) -> None:
        self._deadline.clear()
        self._requests += 1
        self._blocked, self._taken = 0.0, 0
        self._phase = Phase.BODY if arrival.head.has_body else Phase.BUSY
        self._inbound = AiohttpInbound(self, arrival.head, arrival.payload, self._client, self._limits)
        self._floor.enter(self)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if arrival.rest:
            self._read_body(arrival.rest)

    def _read_body(self, data: bytes) -> None:
        if not data:
            self._framer.pump()
        elif surplus := self._framer.body(data):
            # RFC 9112 9.3.2 allows pipelining, and no client of ours does it. The bytes are not even parsed: the first
            # request gets its answer, and the connection ends. Reading goes on, or a disconnect behind the junk would
            # go unseen (F3).
            self._close_after = self._lingers = True
            self.discard(surplus)
        if self._phase is Phase.BODY and self._framer.received:
            self._phase = Phase.BUSY

    # -- one request after the other

    async def start(self) -> None:
        """Serve requests until the connection ends: aiohttp's loop without a task, request and response for each."""
        try:
            while self._phase is not Phase.CLOSED:
                if self._inbound is None:
                    self._wake = self._loop.create_future()
                    await self._wake
                    self._wake = None
                if self._inbound is not None:
                    await self._serve(self._inbound)
        except asyncio.CancelledError:
            # Ours alone, and its end. The task would keep it, with the frames it came through and all they hold; and
            # they have the task (asyncio.timeout), so that the request's body would stay until the collector comes.
            pass
        finally:
            self._floor.leave(self)

    async def _serve(self, inbound: AiohttpInbound) -> None:
        try:
            await self._floor.handler(inbound)
        except asyncio.CancelledError:
            if not inbound.complete:
                self.abort()
            self.end()
            raise
        except Exception as error:  # noqa: BLE001 - whatever escapes the pipeline ends here, as an opaque 500
            self._failed(inbound, f"failed: {type(error).__name__} at {_place(error)}", error)
        else:
            if not inbound.complete:
                self._failed(inbound, "returned without a complete answer")
        finally:
            self._inbound = None
            self._floor.leave(self)
        if self._phase is Phase.ANSWERED:
            self._reuse()

    def _reuse(self) -> None:
        self._phase = Phase.IDLE
        self._framer.again()
        self._deadline.set(self._limits.keepalive_s)
        if self._held:
            held, self._held = self._held, b""
            self._resume_transport_reading()
            self.data_received(held)

    def _failed(self, inbound: AiohttpInbound, what: str, error: Exception | None = None) -> None:
        if self.gone and (error is None or isinstance(error, ConnectionError)):
            return
        LOG.error("the request handler %s", what)
        if inbound.answered:
            self.abort()
        else:
            self.refuse(Refusal(Reason.INTERNAL))

    # -- answering (the `Wire` of request.py, with what Link has)

    @property
    def closing(self) -> bool:
        """Whether the connection ends with the present answer, whatever the request says."""
        floor = self._floor
        return (
            self._close_after
            or self._framer.spoiled
            or floor.draining
            or self._requests >= self._limits.requests_per_connection
        )

    def settle(self) -> None:
        """The last byte of the answer is next: from now on the caller may leave, or ask again."""
        if not self._framer.received:
            self._lingers = True
        if self._phase in {Phase.BODY, Phase.BUSY}:
            self._phase = Phase.ANSWERED

    def finish(self, *, close: bool) -> None:
        """The answer is out: close the connection, or keep it."""
        if close or self.closing:
            self.end()

    def refuse(self, refusal: Refusal) -> None:
        """Answer with the constant text of `refusal` and end the connection. Nothing of the request is logged (F5)."""
        floor = self._floor
        LOG.debug("refused on %s: %s", floor.name, refusal.reason.value)
        try:
            status, headers, body = floor.rejected(refusal, self._client, self._framer.path)
            head = answer_head(status, headers, length(len(body)), close=True)
        except Exception as error:  # noqa: BLE001 - a broken renderer must not turn a refusal into silence
            LOG.error("rendering a refusal failed: %s at %s", type(error).__name__, _place(error))  # noqa: TRY400 - F5
            head, body = answer_head(refusal.cause.status, {}, length(0), close=True), b""
        if not self.gone:
            self.send(head if self._framer.method == "HEAD" else head + body)
        self._lingers = True
        self.end()

    # -- draining

    def retire(self) -> None:
        """Close now if no request is here; a request that is will close the connection with its answer."""
        if self._inbound is None and self._wire is not None and self._phase is not Phase.LINGER:
            self._close_wire(self._wire)

    def cut_off(self) -> None:
        """Cancel the request that is still being served; it may yet end its stream properly."""
        self.cut = True
        if self._task is not None:
            self._task.cancel(DRAIN)


def _place(error: Exception) -> str:
    """Where `error` was raised. Its text may quote the request and is therefore never logged; this cannot."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
