"""The OPAs that fetch the policy: what each said last. In memory, or in the database for several gateways."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

from edge.policy.store_types import Instance

MOST: Final = 1_000
_SAME_AGAIN: Final = 10.0
"""Seconds for which the same word of one OPA is not written again: one that cannot take the policy says so each time it
tries, several times a second at first (facts A1)."""


class Instances(Protocol):
    """Remembers instances by id."""

    async def seen(self, instance: Instance) -> None:
        """Keep what one said, instead of what it said before."""

    async def all(self) -> Sequence[Instance]:
        """Everyone, the latest word first."""


class InstanceMemory:
    """Those of this process, at most `most`: the one silent longest is forgotten."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[str, Instance] = OrderedDict()

    async def seen(self, instance: Instance) -> None:
        self._known[instance.id] = instance
        self._known.move_to_end(instance.id)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    async def all(self) -> Sequence[Instance]:
        return [*reversed(self._known.values())]

    def repeats(self, instance: Instance, within: float) -> bool:
        """Whether `instance` says nothing new, and said so less than `within` seconds ago."""
        known = self._known.get(instance.id)
        return known is not None and _word(known) == _word(instance) and instance.seen_at - known.seen_at < within


class InstanceTable(Protocol):
    """What `edge.policy.store.PolicyStore` offers; blocks."""

    def report_instance(self, instance: Instance) -> None: ...
    def instances(self) -> list[Instance]: ...


class StoredInstances:
    """Those in the database, whichever gateway they spoke to."""

    def __init__(self, table: InstanceTable) -> None:
        self._table = table
        self._written = InstanceMemory()

    async def seen(self, instance: Instance) -> None:
        if self._written.repeats(instance, _SAME_AGAIN):
            return
        await asyncio.to_thread(self._table.report_instance, instance)
        await self._written.seen(instance)

    async def all(self) -> Sequence[Instance]:
        return await asyncio.to_thread(self._table.instances)


def _word(instance: Instance) -> tuple[object, ...]:
    return instance.revision, instance.code, instance.message, instance.labels
