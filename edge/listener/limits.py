"""Every limit of the door, on by default; the numbers are the promise sheet of SECURITY.md (facts 1.3)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What one peer may take. `_bytes` are bytes, `_s` are seconds, the rest are counts unless said otherwise.

    Raises ValueError naming every field that is not positive, so that no limit can be switched off by a zero.
    """

    request_line_bytes: int = 4 * KIB
    """Method, target and version. nginx and HAProxy allow 8 KiB; our longest route is under 400 bytes."""
    header_bytes: int = 8 * KIB
    """One header, name and value. The longest value seen from a real client is 734 bytes (Codex)."""
    header_count: int = 64
    headers_bytes: int = 32 * KIB
    """All headers together. aiohttp alone would hold 1 MB per connection before anyone is authenticated (F6)."""
    header_s: float = 10.0
    """From a request's first byte to the end of its head; also how long a new connection may say nothing at all."""
    tls_handshake_s: float = 5.0
    tls_shutdown_s: float = 3.0
    body_bytes: int = 16 * MIB
    """A route may allow less. Agents open with 60 KB and grow every turn; images come as base64."""
    body_s: float = 30.0
    """From the moment the body is asked for to its last byte."""
    body_rate: float = 1.0 * KIB
    """Bytes per second that a body must average once `body_grace_s` is over."""
    body_grace_s: float = 5.0
    chunk_overhead_bytes: int = 256 * KIB
    """Chunk framing allowed on top of as many bytes again as the body has: stops 16 MiB sent as 1-byte chunks."""
    keepalive_s: float = 30.0
    """How long a connection may idle between two requests."""
    requests_per_connection: int = 1_000
    connections: int = 1_024
    connections_per_source: int = 64
    """Per IPv4 address, or per /64 of IPv6, which is what one subscriber or one host gets."""
    unauthenticated_share: float = 0.25
    """Fraction of `connections` open to peers that have not yet shown a valid credential on the connection."""
    write_stall_s: float = 30.0
    """How long the caller may take nothing while bytes wait for it."""
    write_rate: float = 8.0 * KIB
    """Bytes per second that a caller must take while bytes wait for it, with `write_stall_s` of credit per answer. One
    ISDN channel; an engine's stream is of this order. Waiting for the engine costs no credit, so a caller that keeps
    up with a slow one is never cut."""
    discard_bytes: int = 256 * KIB
    """Bytes read and thrown away after an answer that left a body unread, or sent behind an unanswered request."""
    discard_s: float = 0.5
    """For how long. The answer itself ends at once (FIN); this only lets it arrive before a reset could destroy it."""
    stream_buffer_bytes: int = 512 * KIB
    """Bytes held in the process per connection and direction."""
    drain_s: float = 30.0
    """How long active requests may go on after `drain`."""
    cut_s: float = 2.0
    """How long a request cut by `drain` has to end its stream in the caller's dialect."""

    def __post_init__(self) -> None:
        wrong = [f.name for f in fields(self) if not getattr(self, f.name) > 0]
        if self.unauthenticated_share > 1:
            wrong.append("unauthenticated_share (at most 1)")
        if wrong:
            raise ValueError(f"listener limits must be positive: {', '.join(wrong)}")

    @property
    def head_bytes(self) -> int:
        """The most that is read of a head before it is refused, whatever it turns out to be."""
        return self.request_line_bytes + self.headers_bytes

    @property
    def strangers(self) -> int:
        """Connections open to peers without a valid credential; at least one."""
        return max(1, int(self.connections * self.unauthenticated_share))
