"""Shadow: a candidate that decides beside the live policy, unheard. Counts what it would have decided otherwise.

`offer` costs the request nothing but a place in a bounded queue; all else happens afterwards. Several gateways add to
one row in the database, about once a second, so that `policy shadow` shows what all of them saw.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import orjson

from edge.identity.state import StateError
from edge.policy.store_types import StoredShadow
from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, Object, as_count, as_list, as_object, as_str
from policies.lifecycle.replay import Flip, compare, skipped, verdict
from policies.lifecycle.text import clean
from policies.record import Record

_CAPACITY: Final = 1_000
"""Records that may wait: half a second's worth of a busy gateway. More is dropped, and counted."""
_FLUSH: Final = 1.0
_EXAMPLES: Final = 20
_CODES: Final = 100
_log = logging.getLogger(__name__)


class Candidate(Protocol):
    """What decides: an `Evaluator`, or any PolicyEngine."""

    async def evaluate(self, document: bytes) -> JSON: ...


class Counting(Protocol):
    """Where it is counted; `PolicyStore` is one. Blocks."""

    def count_shadow(self, identity: tuple[str, float, float], add: Callable[[Object], Object]) -> bool: ...


class Shadow:
    """One candidate in one gateway. `randomness` gives numbers from 0 to below 1, `now` seconds since the epoch."""

    def __init__(
        self,
        stored: StoredShadow,
        candidate: Candidate,
        counting: Counting,
        *,
        randomness: Callable[[], float],
        now: Callable[[], float],
        flush: float = _FLUSH,
    ) -> None:
        self._identity = stored.identity
        self._sample = stored.sample
        self._candidate = candidate
        self._counting = counting
        self._randomness = randomness
        self._now = now
        self._flush_every = flush
        self._waiting: deque[Record] = deque()
        self._wake = asyncio.Event()
        self._seen: Object = {}
        self._failing = False

    def offer(self, record: Record) -> None:
        """A decision of the live policy. Never blocks, raises nothing."""
        if self._randomness() >= self._sample or skipped(record) is not None:
            return
        if len(self._waiting) >= _CAPACITY:
            self._seen = added(self._seen, {"dropped": 1})
            return
        self._waiting.append(record)
        self._wake.set()

    async def run(self) -> None:
        """Judge what is offered, until cancelled or until this run of the shadow is over in the database."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                end = loop.time() + self._flush_every
                await self._judge_until(end)
                if not await self._flush():
                    return
        finally:
            await self._flush()

    async def _judge_until(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        while (left := end - loop.time()) > 0:
            self._wake.clear()
            if not self._waiting:
                try:
                    await asyncio.wait_for(self._wake.wait(), left)
                except TimeoutError:
                    return
            if self._waiting:
                await self._judge(self._waiting.popleft())

    async def _judge(self, record: Record) -> None:
        after: JSON | PolicyFault
        try:
            after = await self._candidate.evaluate(orjson.dumps(record.input))
        except PolicyFault as fault:
            after = fault
        except (PolicyEngineDown, orjson.JSONEncodeError):
            self._seen = added(self._seen, {"unanswered": 1})
            return
        flip = compare(record, after)
        counts: Object = {"compared": 1, "errors": int(bool(verdict(after).error)), "same": int(flip is None)}
        if flip is not None:
            codes: Object = dict.fromkeys(flip.codes, 1)
            counts |= {"flips": {flip.kind.value: 1}, "by": {flip.kind.value: codes}, "examples": [_example(flip)]}
        self._seen = added(self._seen, counts)

    async def _flush(self) -> bool:
        """Add to the database what was counted; False if this run is over. A database that fails keeps it for later."""
        if not self._seen:
            return True
        delta, self._seen = {**self._seen, "updated_at": self._now()}, {}
        try:
            running = await asyncio.to_thread(
                self._counting.count_shadow, self._identity, lambda old: added(old, delta)
            )
        except StateError as error:
            if not self._failing:
                _log.warning("what the shadow policy saw cannot be stored, trying again: %s", error)
            self._failing = True
            self._seen = added(delta, self._seen)
            return True
        self._failing = False
        return running


def added(old: Object, new: Object) -> Object:
    """Both counters' sum: numbers add up, tables key by key (bounded), the newest examples and the latest time stay."""
    result = dict(old)
    for name, theirs in new.items():
        ours = result.get(name)
        if name == "examples":
            result[name] = [*as_list(theirs), *as_list(ours)][:_EXAMPLES]
        elif name == "updated_at" or ours is None:
            result[name] = theirs
        elif isinstance(theirs, dict):
            known = as_object(ours)
            result[name] = added(known, {k: v for k, v in theirs.items() if k in known or len(known) < _CODES})
        else:
            result[name] = (as_count(ours) or 0) + (as_count(theirs) or 0)
    return result


def _example(flip: Flip) -> Object:
    record = flip.record
    before: list[JSON] = list(flip.before.codes)
    after: list[JSON] = list(flip.after.codes)
    model = as_object(record.input.get("model"))
    return {
        "id": record.id,
        "at": record.at,
        "kind": flip.kind.value,
        "caller": clean(as_str(as_object(record.input.get("caller")).get("id"))),
        "operation": clean(as_str(record.input.get("operation"))),
        "model": clean(as_str(model.get("resolved")) or as_str(model.get("requested"))),
        "before": before,
        "after": after,
    }
