"""Who is told of every request that is over: access lines, metrics, traces, whoever watches live.

Told in the event loop, at the very end of the line, one after the other; so each must be quick, and may not wait. What
one of them gets wrong is logged and reaches neither the caller nor the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from observability.access import access_line
from observability.lines import LineSink
from policies.exchange import Exchange

_log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told of every finished exchange, refused and cancelled ones included."""

    def ended(self, exchange: Exchange, at: float) -> None:
        """`exchange` is over and complete; `at` is seconds since the epoch."""
        ...


class Observers:
    """All of them. Implements `Observer`."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer`, too, from now on; the returned function ends that, once or more often."""
        self._observers = [*self._observers, observer]

        def remove() -> None:
            self._observers = [other for other in self._observers if other is not observer]

        return remove

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended; never raises."""
        for observer in self._observers:
            try:
                observer.ended(exchange, at)
            except Exception as error:  # noqa: BLE001 - the request is answered, and the others are to hear of it
                _log.exception("%s failed on request %s", type(observer).__name__, exchange.id, exc_info=error)


class AccessLines:
    """Writes the access line. Implements `Observer`."""

    def __init__(self, lines: LineSink) -> None:
        self._lines = lines

    def ended(self, exchange: Exchange, at: float) -> None:
        """See Observer.ended."""
        self._lines.write(access_line(exchange, at=at))
