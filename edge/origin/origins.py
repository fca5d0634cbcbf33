"""What is known of callers' containers. Never waits: who is not known yet is looked up in the background."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from edge.tasks import Tasks
from policies.decision import plain_address
from policies.origin import Container

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Memory:
    """How long things are known, in seconds, and how many.

    Docker gives the address of a container that stopped to the next one that starts, so its own 600 s would be wrong
    names: `fresh`, then asked again while the old name still counts, and `stale` at the latest it does not.
    A new connection may be another container's: it is asked about once the answer is `sure` seconds old.
    `nobody`: an address without a container is asked about again. `addresses` are remembered, `at_once` asked about.
    """

    sure: float = 0.2
    fresh: float = 5.0
    stale: float = 15.0
    nobody: float = 30.0
    addresses: int = 4096
    at_once: int = 16


@dataclass(frozen=True, slots=True)
class _Known:
    container: Container | None
    again: float
    until: float
    asked: float = 0.0
    port: int = 0
    """Of the connection for which it was asked."""


class Origins:
    """One for all listeners. `find` may raise anything; `clock` is monotonic seconds."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[Container | None]],
        tasks: Tasks,
        clock: Callable[[], float],
        memory: Memory | None = None,
    ) -> None:
        self._find = find
        self._tasks = tasks
        self._clock = clock
        self._memory = memory or Memory()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: set[str] = set()
        self._well = True

    def __call__(self, ip: str, port: int = 0) -> Container | None:
        """The container at the socket's peer `ip`, as far as it is known at this moment."""
        known = self._known.get(ip)
        if known is None:  # before it is parsed: of most requests the address is known as it stands
            ip = plain_address(ip)
            known = self._known.get(ip)
        now = self._clock()
        if known is None or now >= known.again or (port != known.port and now - known.asked >= self._memory.sure):
            self._ask(ip, port)
        return known.container if known is not None and now < known.until else None

    def _ask(self, ip: str, port: int) -> None:
        if ip in self._asking or len(self._asking) >= self._memory.at_once:
            return
        self._asking.add(ip)
        _ = self._tasks.start(self._look(ip, port), name="origin")

    async def _look(self, ip: str, port: int) -> None:
        before, asked = self._known.get(ip), self._clock()
        try:
            found = await self._find(ip)
        except Exception as error:  # noqa: BLE001 - a label that is missing fails no request
            if self._well:
                _log.warning(
                    "Docker's DNS does not answer (%s): callers' containers are not known", type(error).__name__
                )
            self._well = False
            until = before.until if before is not None else 0.0
            known = _Known(before.container if before else None, self._clock() + self._memory.fresh, until, asked, port)
            self._keep(ip, known)
        else:
            self._well = True
            memory, now = self._memory, self._clock()
            again = now + (memory.nobody if found is None else memory.fresh)
            self._keep(ip, _Known(found, again, now + memory.stale, asked, port))
        finally:
            self._asking.discard(ip)

    def _keep(self, ip: str, known: _Known) -> None:
        self._known[ip] = known
        self._known.move_to_end(ip)
        if len(self._known) > self._memory.addresses:
            self._known.popitem(last=False)
