"""The running exchanges, and how one is cut from outside when its credential is revoked or expires.

A cut cancels the exchange's task and turns that cancellation into a Refusal at the scope's end, as `asyncio.timeout`
does with its own, so that the line's one error place says it to the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import TracebackType

from policies.errors import Refusal
from policies.exchange import Exchange
from policies.reasons import Reason


class Inflight:
    """All running exchanges of this process."""

    def __init__(self) -> None:
        self._scopes: set[Scope] = set()

    def __len__(self) -> int:
        return len(self._scopes)

    def exchanges(self) -> list[Exchange]:
        """Those that run now."""
        return [scope.exchange for scope in self._scopes]

    def scope(self, exchange: Exchange) -> Scope:
        """A context in which the exchange can be cut."""
        return Scope(self._scopes, exchange)

    def cut_keys(self, key_ids: Collection[str]) -> int:
        """Cut what runs under these keys; returns how many."""
        return self._cut([scope for scope in self._scopes if _key_of(scope.exchange) in key_ids])

    def cut_expired(self, now: float) -> int:
        """Cut what runs under a credential that has expired (`now`: seconds since the epoch); returns how many."""
        return self._cut([scope for scope in self._scopes if _expired(scope.exchange, now)])

    @staticmethod
    def _cut(scopes: list[Scope]) -> int:
        for scope in scopes:
            scope.cut(Reason.CREDENTIAL_REVOKED)
        return len(scopes)


def _key_of(exchange: Exchange) -> str | None:
    return exchange.principal.key_id if exchange.principal is not None else None


def _expired(exchange: Exchange, now: float) -> bool:
    principal = exchange.principal
    return principal is not None and principal.expires_at is not None and principal.expires_at <= now


class Scope:
    """See `Inflight.scope`."""

    __slots__ = ("_reason", "_scopes", "_task", "exchange")

    def __init__(self, scopes: set[Scope], exchange: Exchange) -> None:
        self._scopes = scopes
        self.exchange = exchange
        self._reason: Reason | None = None
        self._task: asyncio.Task[object] | None = None

    def cut(self, reason: Reason) -> None:
        """Cancel the exchange's task, once."""
        if self._reason is None and self._task is not None:
            self._reason = reason
            self._task.cancel()

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._scopes.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scopes.discard(self)
        if self._reason is None or self._task is None:
            return
        if self._task.uncancel() == 0 and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise Refusal(self._reason) from None
