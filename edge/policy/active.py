"""The policy in force, for everyone who has to know: the door that asks it, and the OPAs that fetch it as a bundle."""

from __future__ import annotations

import asyncio

from policies.bundle import Bundle


class ActivePolicy:
    """One value that changes whole. Readers take `bundle` once and use that; waiters are woken at each change."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._revision = bundle.revision
        self._changed = asyncio.Event()

    @property
    def bundle(self) -> Bundle:
        return self._bundle

    @property
    def revision(self) -> str:
        return self._revision

    def publish(self, bundle: Bundle) -> None:
        """Put `bundle` in force and wake everyone who waits."""
        self._bundle = bundle
        self._revision = bundle.revision
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def differs(self, revision: str, within: float) -> bool:
        """Whether another revision than `revision` is in force, now or within so many seconds."""
        try:
            async with asyncio.timeout(within):
                while self._revision == revision:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True
