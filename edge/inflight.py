"""The running exchanges, and how one is cut from outside: a revoked key, the end of a drain.

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

    def scope(self, exchange: Exchange) -> Scope:
        """A context in which the exchange can be cut."""
        return Scope(self._scopes, exchange)

    def cut_keys(self, key_ids: Collection[str]) -> int:
        """Cut what runs under these keys; returns how many."""
        return self._cut(
            [s for s in self._scopes if s.exchange.principal is not None and s.exchange.principal.key_id in key_ids],
            Reason.CREDENTIAL_REVOKED,
        )

    def cut_expired(self, now: float) -> int:
        """Cut what runs under a credential that has expired (`now`: seconds since the epoch); returns how many."""
        expired = [s for s in self._scopes if _expired(s.exchange, now)]
        return self._cut(expired, Reason.CREDENTIAL_REVOKED)

    def cut_all(self) -> int:
        """Cut everything: the drain is over."""
        return self._cut(list(self._scopes), Reason.DRAINING)

    @staticmethod
    def _cut(scopes: list[Scope], reason: Reason) -> int:
        for scope in scopes:
            scope.cut(reason)
        return len(scopes)


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
