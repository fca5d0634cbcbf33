"""What the line asks of the store of responses: beside the event loop, within a time, and never for another owner.

Reading is what a request waits for, and fails with it. Keeping is not: an answer whose response could not be kept is
still an answer; it is logged, and its id will be one that is not there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from edge.dialects.responses.kept import Wanted, kept_items
from edge.dialects.responses.names import is_response_id
from edge.identity.state import StateError
from edge.responses.store import Kept, New, ResponseStore, TooLong
from policies.call import Call
from policies.errors import Refusal
from policies.json import Object, as_object, as_str
from policies.reasons import Reason

WITHIN: Final = 3.0
"""Seconds that a request waits for the store."""
SWEEP_SECONDS: Final = 60.0
_THREADS: Final = 2
_MOST_NAMED: Final = 64
_MOST_MODELS: Final = 16
"""The policy is asked about each."""
_PREVIOUS: Final = "previous_response_id"
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Past(NamedTuple):
    """What a request goes on from: its conversation so far, and all items of the responses that it names."""

    history: list[Object]
    named: list[Object]
    size: int
    """In bytes, about."""
    models: frozenset[str]
    """As their callers named them."""


class Shelf:
    """`store` false: nothing more is kept. `wall` gives seconds since the epoch."""

    def __init__(
        self, rows: ResponseStore, *, wall: Callable[[], float], store: bool = True, within: float = WITHIN
    ) -> None:
        self._rows = rows
        self._keeps = store
        self._wall = wall
        self._within = within
        self._lane = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="responses")

    def close(self) -> None:
        """Let what runs finish, drop what waits."""
        self._lane.shutdown(wait=True, cancel_futures=True)
        self._rows.close()

    def keeps(self, call: Call) -> bool:
        """Whether the answer to `call` is to be kept: unless somebody says no, as with OpenAI."""
        return self._keeps and not call.counts and call.asked.get("store", True) is True

    async def past(self, owner: str, wanted: Wanted) -> Past:
        """The earlier responses that a request of `owner` needs. Refusal."""
        history = await self._history(owner, wanted.previous) if wanted.previous else []
        named = await self._named(owner, wanted.references) if wanted.references else []
        every = (*history, *named)
        models = frozenset(as_str(each.document.get("model")) for each in every)
        if len(models) > _MOST_MODELS:
            hint = f"What is gone on from was said by more than {_MOST_MODELS} models: begin a new conversation."
            raise Refusal(Reason.INVALID_PARAMETER, param=_PREVIOUS, hint=hint)
        return Past(_items(history), _items(named), sum(each.size for each in every), models)

    async def _history(self, owner: str, previous: str) -> list[Kept]:
        if not is_response_id(previous):
            raise Refusal(Reason.PREVIOUS_RESPONSE_NOT_FOUND, param=_PREVIOUS)
        try:
            chain = await self._read(lambda: self._rows.chain(owner, previous, self._wall()))
        except TooLong:
            hint = "The conversation is longer than can be gone on with: begin a new one."
            raise Refusal(Reason.INVALID_PARAMETER, param=_PREVIOUS, hint=hint) from None
        if chain is None:
            raise Refusal(Reason.PREVIOUS_RESPONSE_NOT_FOUND, param=_PREVIOUS)
        return chain

    async def _named(self, owner: str, references: frozenset[str]) -> list[Kept]:
        param = "input[].id"
        if len(references) > _MOST_NAMED:
            hint = f"Items of at most {_MOST_NAMED} responses can be referred to."
            raise Refusal(Reason.INVALID_PARAMETER, param=param, hint=hint)
        try:
            found = await self._read(lambda: self._rows.several(owner, references, self._wall()))
        except TooLong:
            hint = "The responses that are referred to are too large."
            raise Refusal(Reason.INVALID_PARAMETER, param=param, hint=hint) from None
        if found is None:
            raise Refusal(Reason.PREVIOUS_RESPONSE_NOT_FOUND, param=param)
        return found

    async def find(self, owner: str, wanted: str) -> Kept | None:
        """One response, None if it is not there. Refusal."""
        return await self._read(lambda: self._rows.find(owner, wanted, self._wall()))

    async def delete(self, owner: str, wanted: str) -> None:
        """Delete one response. Refusal."""
        if not await self._read(lambda: self._rows.delete(owner, wanted, self._wall())):
            raise Refusal(Reason.RESPONSE_NOT_FOUND)

    async def keep(self, owner: str, asked: Object, document: Object, request_id: str) -> None:
        """Keep what was answered to `asked`; never fails."""

        def add() -> bool:
            previous, items = as_str(asked.get(_PREVIOUS)), kept_items(asked, request_id)
            return self._rows.add(New(as_str(document["id"]), owner, previous, items, document), self._wall())

        try:
            if not await self._run(add):
                _log.info("response of request %s is not kept: no room, or what it goes on from is gone", request_id)
        except (StateError, TimeoutError) as error:
            _log.warning("response of request %s is not kept: %s", request_id, str(error) or "too slow")

    async def sweep(self, every: float = SWEEP_SECONDS) -> None:
        """For ever: delete what is too old."""
        while True:
            try:
                await self._run(lambda: self._rows.sweep(self._wall()))
            except (StateError, TimeoutError) as error:
                _log.warning("old responses could not be deleted: %s", str(error) or "too slow")
            await asyncio.sleep(every)

    async def _read(self, work: Callable[[], T]) -> T:
        try:
            return await self._run(work)
        except (StateError, TimeoutError) as error:
            raise Refusal(Reason.RESPONSES_UNAVAILABLE, retry_after=2.0, detail=type(error).__name__) from error

    async def _run(self, work: Callable[[], T]) -> T:
        async with asyncio.timeout(self._within):
            return await asyncio.get_running_loop().run_in_executor(self._lane, work)


def _items(kept: Iterable[Kept]) -> list[Object]:
    return [as_object(item) for each in kept for item in each.all_items]
