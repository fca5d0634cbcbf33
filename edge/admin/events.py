"""Decisions that OPAs of the fleet took, into a decision log of their own: `explain` finds them.

Not into the gateway's: whoever has an OPA's key could make up decisions until `replay` finds none of the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from observability.decisions.log import DecisionLogError
from policies.errors import Refusal
from policies.json import JSON
from policies.lifecycle.export import EventError, read_event
from policies.reasons import Reason
from policies.record import Record

_STEP: Final = 200
"""Events that are on the disk before the next are written: the log's queue is the gateway's own decisions' as well, and
what does not fit into it is lost."""


class Records(Protocol):
    """What `observability.decisions.log.DecisionLog` offers."""

    def write(self, record: Record) -> None: ...
    async def write_durably(self, record: Record) -> None: ...


class FleetEvents:
    """Writes events as records with the engine `fleet`."""

    def __init__(self, log: Records) -> None:
        self._log = log

    async def take(self, events: Sequence[JSON]) -> int:
        """Keep `events`; returns how many were decisions of our policy.

        They are on the disk then. Refusal(INTERNAL) if they are not, and OPA sends them again.
        """
        taken = 0
        for begin in range(0, len(events), _STEP):
            records = [record for each in events[begin : begin + _STEP] if (record := _record(each)) is not None]
            taken += len(records)
            if not records:
                continue
            for record in records[:-1]:
                self._log.write(record)
            try:
                await self._log.write_durably(records[-1])
            except DecisionLogError as error:
                raise Refusal(Reason.INTERNAL, detail=f"decision log: {error}") from error
        return taken


def _record(event: JSON) -> Record | None:
    try:
        return read_event(event)
    except EventError:
        return None
