"""One request as the pipeline sees it: checked head, body on demand, one answer. The seam between listener and line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias

from policies.errors import Refusal
from policies.exchange import Client

Headers: TypeAlias = Mapping[str, str]


class Inbound(Protocol):
    """A request whose head has passed `checks`.

    `path` is the raw request path without query, already refused if it is not canonical (`%`, `//`, `..`, backslash);
    `headers` has lower-case names, one value each (a repeated header that matters was refused, others are joined).
    """

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def client(self) -> Client: ...

    def mark_authenticated(self) -> None:
        """Tell the listener that the caller is known: the connection leaves the unauthenticated share."""

    @property
    def cut(self) -> bool:
        """Whether the handler was cancelled by a drain that is over (the caller is still there and can be told)."""

    @property
    def torn(self) -> bool:
        """Whether a block was cut off half-way: nothing more can be said on this connection, only `abort` is left."""

    async def body(self, limit: int) -> bytes:
        """Read the whole body: answers `Expect: 100-continue` first; Refusal on size, deadline or rate."""

    async def answer(self, status: int, headers: Headers, body: bytes, *, close: bool = False) -> None:
        """Send a complete answer. `close` ends the connection after it (always so after an unread body)."""

    async def begin(self, status: int, headers: Headers) -> None:
        """Start a streamed answer (chunked)."""

    async def write(self, block: bytes) -> None:
        """Send one block; ConnectionError when the caller is gone, or takes nothing or too little for too long."""

    async def end(self) -> None:
        """End a streamed answer properly (terminating chunk)."""

    def abort(self) -> None:
        """Cut the connection at once, without a terminating chunk."""


Handler: TypeAlias = Callable[[Inbound], Awaitable[None]]
"""The line. Is cancelled when the caller leaves; must answer exactly once otherwise."""

Rejected: TypeAlias = Callable[[Refusal, Client, str], tuple[int, Headers, bytes]]
"""Renders a refusal of the wire checks (before routing): (refusal, client, raw path or "") -> status, headers, body."""
