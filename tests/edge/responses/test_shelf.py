"""The store beside the loop: refusals for readers, silence for keepers, and an end to waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.dialects.responses.kept import Wanted
from edge.identity.state import StateError
from edge.responses.settings import ResponseSettings
from edge.responses.shelf import Shelf
from edge.responses.store import Kept, New, ResponseStore, open_store
from edge.store.database import Database
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.json import Object
from policies.reasons import Reason

NOW = 1_800_000_000.0
ID = "a" * 32
NAME = f"resp_{ID}"
NONE = Wanted("", frozenset())
DOCUMENT: Object = {"id": NAME, "model": "tiny", "output": [{"type": "message", "role": "assistant", "content": "so"}]}
ASKED: Object = {"input": "hi", "store": True}


class Broken(ResponseStore):
    """Fails, or hangs until it is let go."""

    def __init__(self, hold: threading.Event | None = None) -> None:
        self._hold = hold

    def _fail(self) -> None:
        if self._hold is not None:
            self._hold.wait(30.0)
        raise StateError("the database failed", "look at it")

    def find(self, owner: str, wanted: str, now: float) -> Kept | None:
        self._fail()
        return None

    def add(self, new: New, now: float) -> bool:
        self._fail()
        return False

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    rows = open_store(Database(f"sqlite:///{tmp_path / 'gateway.db'}"), ResponseSettings(conversation_bytes=2_000))
    made = Shelf(rows, wall=lambda: NOW)
    yield made
    made.close()


def call(**asked: object) -> Call:
    return Call(Operation.CHAT, Dialect.RESPONSES, asked={"input": "hi", **asked})  # type: ignore[dict-item] # JSON


async def refusal(shelf: Shelf, owner: str, wanted: Wanted) -> tuple[Reason, str | None]:
    with pytest.raises(Refusal) as told:
        await shelf.past(owner, wanted)
    return told.value.reason, told.value.param


def test_what_is_kept_is_found_and_gone_on_with(shelf: Shelf) -> None:
    async def run() -> None:
        await shelf.keep("ann", ASKED, DOCUMENT, ID)
        kept = await shelf.find("ann", NAME)
        assert kept is not None
        assert kept.document == DOCUMENT
        past = await shelf.past("ann", Wanted(NAME, frozenset({NAME})))
        assert [item["role"] for item in past.history] == ["user", "assistant"]
        assert past.history == past.named
        await shelf.delete("ann", NAME)
        assert await shelf.find("ann", NAME) is None
        with pytest.raises(Refusal):
            await shelf.delete("ann", NAME)

    asyncio.run(run())


def test_another_owners_is_refused_as_one_that_never_was(shelf: Shelf) -> None:
    async def run() -> None:
        await shelf.keep("ann", ASKED, DOCUMENT, ID)
        for wanted in (NAME, "resp_" + "b" * 32, "nonsense", ""):
            if wanted:
                told = await refusal(shelf, "bob", Wanted(wanted, frozenset()))
                assert told == (Reason.PREVIOUS_RESPONSE_NOT_FOUND, "previous_response_id")
        told = await refusal(shelf, "bob", Wanted("", frozenset({NAME})))
        assert told == (Reason.PREVIOUS_RESPONSE_NOT_FOUND, "input[].id")
        assert await shelf.find("bob", NAME) is None

    asyncio.run(run())


def test_what_is_too_long_or_too_much_is_refused(shelf: Shelf) -> None:
    async def run() -> None:
        await shelf.keep("ann", {"input": "x" * 3_000}, DOCUMENT, ID)
        assert await refusal(shelf, "ann", Wanted(NAME, frozenset())) == (
            Reason.INVALID_PARAMETER,
            "previous_response_id",
        )
        many = frozenset(f"resp_{number:032x}" for number in range(65))
        for references in (many, frozenset({NAME})):
            told = await refusal(shelf, "ann", Wanted("", references))
            assert told == (Reason.INVALID_PARAMETER, "input[].id")

    asyncio.run(run())


def test_who_says_no_is_obeyed_caller_or_operator(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.keeps(call())
    assert not shelf.keeps(call(store=False))
    counting = call()
    counting.counts = True
    assert not shelf.keeps(counting)
    rows = open_store(Database(f"sqlite:///{tmp_path / 'other.db'}"), ResponseSettings())
    off = Shelf(rows, wall=lambda: NOW, store=False)
    assert not off.keeps(call(store=True))
    off.close()


def test_a_store_that_fails_refuses_readers_and_lets_answers_go(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        shelf = Shelf(Broken(), wall=lambda: NOW)
        with pytest.raises(Refusal) as told:
            await shelf.find("ann", NAME)
        assert told.value.reason is Reason.RESPONSES_UNAVAILABLE
        await shelf.keep("ann", {"input": "canary"}, DOCUMENT, ID)
        shelf.close()

    asyncio.run(run())
    assert f"response of request {ID} is not kept" in caplog.text
    assert "canary" not in caplog.text


def test_a_store_that_hangs_is_waited_for_so_long(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        hold = threading.Event()
        shelf = Shelf(Broken(hold), wall=lambda: NOW, within=0.05)
        try:
            with pytest.raises(Refusal) as told:
                await shelf.find("ann", NAME)
            assert told.value.reason is Reason.RESPONSES_UNAVAILABLE
            await shelf.keep("ann", ASKED, DOCUMENT, ID)
        finally:
            hold.set()
            shelf.close()

    asyncio.run(run())
    assert "too slow" in caplog.text


def test_old_ones_are_swept_without_anybody_asking(tmp_path: Path) -> None:
    now = [NOW]
    database = Database(f"sqlite:///{tmp_path / 'gateway.db'}")
    rows = open_store(database, ResponseSettings(keep=10.0))

    async def run() -> None:
        shelf = Shelf(rows, wall=lambda: now[0])
        await shelf.keep("ann", ASKED, DOCUMENT, ID)
        async with asyncio.TaskGroup() as group:
            sweeping = group.create_task(shelf.sweep(every=0.01))
            now[0] += 11.0
            async with asyncio.timeout(20.0):
                while await asyncio.to_thread(rows.find, "ann", NAME, NOW) is not None:
                    await asyncio.sleep(0.005)
            sweeping.cancel()
        shelf.close()

    asyncio.run(run())
    database.close()
