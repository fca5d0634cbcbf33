"""The rows of kept responses. Blocking: callers run it in a thread.

Every look-up names the owner, so that another's response is the same nothing as one that never was. A conversation is
kept or dropped as a whole: half of one would be answered as if it were all. On a connection of its own that does not
wait for the disk (a power cut may take the last moments, as with the ledger) and overwrites what it deletes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import accumulate
from typing import Final, NamedTuple

import orjson
from sqlalchemy import Connection, Row

from edge.intake.strict_json import LIMITS, measure
from edge.responses import statements as sql
from edge.responses.settings import ResponseSettings
from edge.store.database import Database, make_engine
from policies.json import JSON, Object, as_list, as_object

BUSY_SECONDS: Final = 2
_BATCH: Final = 500
"""Ids in one statement; SQLite takes 32,766 parameters."""
_BITE: Final = 4 << 20
"""Bytes that one transaction deletes, about."""
_ROOM: Final = 0.9
"""What is left of all once it was too much, so that not every response from then on has to make room."""


class Kept(NamedTuple):
    """One response: what was sent for it, what was answered, and how many bytes that is."""

    items: list[JSON]
    document: Object
    size: int

    @property
    def all_items(self) -> list[JSON]:
        """Both, in the order of the conversation."""
        return [*self.items, *as_list(self.document.get("output"))]


class New(NamedTuple):
    """A response to be kept; `previous` is what it goes on from, "" if nothing."""

    id: str
    owner: str
    previous: str
    items: list[JSON]
    document: Object


class TooLong(Exception):
    """The conversation holds more bytes or parts than may be gone on with."""


class _NoRoom(Exception):
    """Undoes what was written for a response that cannot be kept."""


def open_store(database: Database, settings: ResponseSettings) -> ResponseStore:
    """Beside `database`, in the same one. StateError."""
    make = partial(make_engine, synchronous="NORMAL", busy_seconds=BUSY_SECONDS, wipes=True)
    return ResponseStore(database.beside(make), settings)


class ResponseStore:
    """Every method raises StateError when the database does. `now` is seconds since the epoch."""

    def __init__(self, database: Database, settings: ResponseSettings) -> None:
        self._database = database
        self._settings = settings
        self._held: int | None = None  # bytes in all at least, as far as this process knows

    def close(self) -> None:
        self._database.close()

    def find(self, owner: str, wanted: str, now: float) -> Kept | None:
        """One response."""
        with self._database.reading() as connection:
            row = connection.execute(sql.ONE, {"wanted": wanted, "whose": owner, "now": now}).one_or_none()
        return None if row is None else _kept(row)

    def chain(self, owner: str, newest: str, now: float) -> list[Kept] | None:
        """The conversation up to `newest`, oldest first; None if any of it is not there. TooLong."""
        with self._database.reading() as connection:
            rows = connection.execute(sql.CHAIN, {"wanted": newest, "whose": owner, "now": now}).all()
            previous = {row.id: row.previous for row in rows}
            ids: list[str] = []
            at: str | None = newest
            while at is not None:
                if at not in previous:
                    return None
                ids.append(at)
                at = previous.pop(at)
            self._bound(row.bytes for row in rows)
            found = _several(connection, owner, ids, now)
        return [found[each] for each in reversed(ids)]

    def several(self, owner: str, wanted: Iterable[str], now: float) -> list[Kept] | None:
        """Responses in no order; None if one is not there. TooLong."""
        ids = sorted(wanted)
        with self._database.reading() as connection:
            sizes = [row for part in _parts(ids) for row in connection.execute(sql.SIZES, _mine(owner, part, now))]
            if len(sizes) < len(ids):
                return None
            self._bound(row.bytes for row in sizes)
            found = _several(connection, owner, ids, now)
        return list(found.values())

    def add(self, new: New, now: float) -> bool:
        """Keep a response, and what it goes on from for as long; whether there was room. Oldest ones make room."""
        items, document = orjson.dumps(new.items), orjson.dumps(new.document)
        size = len(items) + len(document)
        if size > self._settings.owner_bytes:
            return False
        until = now + self._settings.keep
        try:
            with self._database.writing() as connection:
                _drop(connection, now)
                thread = _thread(connection, new, now)
                values: dict[str, object] = {"id": new.id, "owner": new.owner, "thread": thread}
                values |= {"previous": new.previous or None, "expires_at": until, "bytes": size}
                connection.execute(sql.ADD, values | {"input": items, "document": document})
                connection.execute(sql.EXTEND, {"whose": new.owner, "which": thread, "until": until})
                self._make_room(connection, new.owner, thread)
                self._make_room_in_all(connection, size)
        except _NoRoom:
            return False
        return True

    def delete(self, owner: str, wanted: str, now: float) -> bool:
        """Whether it was there."""
        with self._database.writing() as connection:
            return connection.execute(sql.DROP, {"wanted": wanted, "whose": owner, "now": now}).rowcount > 0

    def sweep(self, now: float) -> int:
        """Delete what is too old; how many rows that were."""
        dropped = 0
        while some := self._drop_some(now):
            dropped += some
        with self._database.reading() as connection:
            self._held = connection.execute(sql.HELD_IN_ALL).scalar_one()
        return dropped

    def _drop_some(self, now: float) -> int:
        with self._database.writing() as connection:
            return _drop(connection, now)

    def _bound(self, sizes: Iterable[int]) -> None:
        if sum(sizes) > self._settings.conversation_bytes:
            raise TooLong

    def _make_room(self, connection: Connection, owner: str, spared: str) -> None:
        """Bring the owner within its bounds by older conversations than `spared`; _NoRoom if that is not enough."""
        count, size = connection.execute(sql.HELD, {"whose": owner}).one()
        over = (count - self._settings.per_owner, size - self._settings.owner_bytes)
        if max(over) <= 0:
            return
        for thread, rows, its_size in connection.execute(sql.THREADS, {"whose": owner}).all():
            if thread == spared:
                continue
            connection.execute(sql.DROP_THREAD, {"whose": owner, "which": thread})
            over = (over[0] - rows, over[1] - its_size)
            if max(over) <= 0:
                return
        raise _NoRoom

    def _make_room_in_all(self, connection: Connection, added: int) -> None:
        if self._held is not None and self._held + added <= self._settings.total_bytes:
            self._held += added
            return
        held = connection.execute(sql.HELD_IN_ALL).scalar_one()
        if held > self._settings.total_bytes:
            for owner, thread, size in connection.execute(sql.THREADS_OF_ALL).all():
                if held <= self._settings.total_bytes * _ROOM:
                    break
                connection.execute(sql.DROP_THREAD, {"whose": owner, "which": thread})
                held -= size
        self._held = held


def _drop(connection: Connection, now: float) -> int:
    """Delete a bite of what is too old; how many rows. It is overwritten, and the ledger, which no request goes
    without, waits as long."""
    sizes = connection.execute(sql.EXPIRED, {"now": now, "most": _BATCH}).all()
    if not sizes:
        return 0
    before = accumulate((row.bytes for row in sizes), initial=0)
    which = [row.id for row, size in zip(sizes, before, strict=False) if size < _BITE]
    return connection.execute(sql.DROP_EXPIRED, {"which": which, "now": now}).rowcount


def _thread(connection: Connection, new: New, now: float) -> str:
    if not new.previous:
        return new.id
    before = {"wanted": new.previous, "whose": new.owner, "now": now}
    thread: str | None = connection.execute(sql.THREAD, before).scalar_one_or_none()
    if thread is None:  # deleted meanwhile: nothing could ever go on from this one
        raise _NoRoom
    return thread


def _several(connection: Connection, owner: str, ids: Sequence[str], now: float) -> dict[str, Kept]:
    """TooLong if callers sent more parts for them than one document may hold: a part of ten bytes takes hundreds."""
    found: dict[str, Kept] = {}
    left = LIMITS.nodes
    for part in _parts(ids):
        for row in connection.execute(sql.SEVERAL, _mine(owner, part, now)):
            left -= measure(row.input, left).nodes
            if left < 0:
                raise TooLong
            found[row.id] = _spoken(_kept(row))
    return found


def _spoken(kept: Kept) -> Kept:
    """Without the probabilities of what was said: nothing goes on from them, and they take the most memory."""
    for item in as_list(kept.document.get("output")):
        for part in as_list(as_object(item).get("content")):
            as_object(part).pop("logprobs", None)
    return kept


def _mine(owner: str, ids: Sequence[str], now: float) -> dict[str, object]:
    return {"wanted": ids, "whose": owner, "now": now}


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]


def _kept(row: Row[*tuple[object, ...]]) -> Kept:
    size = len(row.input) + len(row.document)
    return Kept(as_list(orjson.loads(row.input)), as_object(orjson.loads(row.document)), size)
