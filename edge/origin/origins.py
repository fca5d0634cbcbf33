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
    `nobody`: an address without a container is asked about again. `addresses` are remembered, `at_once` asked about.
    """

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

    def __call__(self, ip: str) -> Container | None:
        """The container at the socket's peer `ip`, as far as it is known at this moment."""
        known = self._known.get(ip)
        if known is None:  # before it is parsed: of most requests the address is known as it stands
            ip = plain_address(ip)
            known = self._known.get(ip)
        now = self._clock()
        if known is None or now >= known.again:
            self._ask(ip)
        return known.container if known is not None and now < known.until else None

    def _ask(self, ip: str) -> None:
        if ip in self._asking or len(self._asking) >= self._memory.at_once:
            return
        self._asking.add(ip)
        _ = self._tasks.start(self._look(ip), name="origin")

    async def _look(self, ip: str) -> None:
        before = self._known.get(ip)
        try:
            found = await self._find(ip)
        except Exception as error:  # noqa: BLE001 - a label that is missing fails no request
            if self._well:
                _log.warning(
                    "Docker's DNS does not answer (%s): callers' containers are not known", type(error).__name__
                )
            self._well = False
            until = before.until if before is not None else 0.0
            self._keep(ip, before.container if before is not None else None, self._memory.fresh, until)
        else:
            self._well = True
            memory = self._memory
            self._keep(ip, found, memory.nobody if found is None else memory.fresh, self._clock() + memory.stale)
        finally:
            self._asking.discard(ip)

    def _keep(self, ip: str, container: Container | None, again: float, until: float) -> None:
        self._known[ip] = _Known(container, self._clock() + again, until)
        self._known.move_to_end(ip)
        if len(self._known) > self._memory.addresses:
            self._known.popitem(last=False)
