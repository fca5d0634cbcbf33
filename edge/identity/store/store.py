"""KeyStore: create, list, show, update, rotate, revoke, delete. Synchronous: callers run it in a thread.

Each write bumps one monotonic revision in its own transaction, so that "has anything changed?" is a one-row question
that every process can ask five times a second. No read here ever serves a request (facts/security.md F13: LiteLLM's
key look-up in SQL on the request path became CVE-2026-42208).
"""

from __future__ import annotations

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from sqlalchemy import Connection, Row

from edge.identity.grant import Grant
from edge.identity.pepper import Peppers
from edge.identity.record import KeyRecord, Origin, Secret, Snapshot, Status
from edge.identity.store import statements as sql
from edge.identity.store import writing
from edge.identity.store.rows import grant_values, key_record, secret
from edge.identity.token import Token, mint
from edge.store.database import Database

_log = logging.getLogger(__name__)
_UNTOUCHED: Final = 1
"""The revision before the first write."""
_Row: TypeAlias = Row[tuple[object, ...]]


class KeyNotFoundError(LookupError):
    """No key has that id or name, or several have that name; the text says which, with the ids to choose from."""


class KeyEndedError(Exception):
    """The key is revoked (which is final) or has expired, and cannot be changed that way."""


class KeyManagedError(Exception):
    """The key, or the name, is the configuration's, or a stack's: it is changed there."""


class KeyStore:
    """The keys of one database. Every method raises StateError when the database does.

    What the configuration makes (edge/identity/store/configured.py) can be looked at and revoked here, not changed.
    """

    def __init__(
        self,
        database: Database,
        peppers: Peppers,
        *,
        now: Callable[[], float] = time.time,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._peppers = peppers
        self._now = now
        self._randomness = randomness

    def revision(self) -> int:
        """A number that grows with every write of any process."""
        with self._database.reading() as connection:
            return _revision(connection)

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever written: no gateway has used the database yet."""
        return self.revision() <= _UNTOUCHED

    def load_all(self) -> Snapshot:
        """Every key that can be read. The revision is read first: a write in between only means one reload too many."""
        with self._database.reading() as connection:
            revision = _revision(connection)
            keys = connection.execute(sql.ALL_KEYS).all()
            secrets = connection.execute(sql.ALL_SECRETS).all()
        return Snapshot(revision, tuple(assemble(keys, secrets)))

    def list(self) -> tuple[KeyRecord, ...]:
        """All keys, oldest first."""
        return self.load_all().records

    def show(self, reference: str) -> KeyRecord:
        """The key with that id, or else the one with that name (a revoked one only if no other has it)."""
        with self._database.reading() as connection:
            return self._find(connection, reference)

    def create(self, grant: Grant) -> tuple[KeyRecord, Token]:
        """Store a new key; the token exists nowhere else afterwards. KeyManagedError if the configuration has a key of
        that name."""
        now = self._now()
        token = mint(self._randomness)
        with self._database.writing() as connection:
            check_name(connection, grant.name)
            writing.add_key(connection, token.id, grant, now)
            writing.add_secret(connection, self._peppers, token, now)
            connection.execute(sql.BUMP)
            return self._find(connection, token.id), token

    def update(self, reference: str, change: Callable[[Grant], Grant]) -> KeyRecord:
        """Replace the grant by `change` of it, read and written in one transaction. KeyEndedError if revoked,
        KeyManagedError if it, or the new name, is the configuration's; and for the name or the owner of a stack's key,
        by which `down` finds it."""
        with self._database.writing() as connection:
            key = _own(self._locked(connection, reference))
            grant = change(key.grant)
            if key.origin is Origin.COMPOSE and (grant.name, grant.owner) != (key.grant.name, key.grant.owner):
                raise KeyManagedError(f"key '{key.grant.name}' is a Compose stack's, which finds it by name and owner")
            if grant.name != key.grant.name:
                check_name(connection, grant.name)
            connection.execute(sql.CHANGE.values(**grant_values(grant)), {"key": key.id})
            connection.execute(sql.BUMP)
            return self._find(connection, key.id)

    def rotate(self, reference: str, overlap: float) -> tuple[KeyRecord, Token]:
        """A new secret for the same id; the old ones work `overlap` seconds longer, or as long as they had left.

        KeyEndedError if the key is revoked or expired, KeyManagedError if it is the configuration's.
        """
        now = self._now()
        with self._database.writing() as connection:
            key = _own(self._locked(connection, reference))
            if key.status(now) is Status.EXPIRED:
                raise KeyEndedError("the key has expired: extend it first, with keys update --expires")
            token = mint(self._randomness, key_id=key.id)
            writing.end_secrets(connection, key.id, now + overlap, now)
            writing.add_secret(connection, self._peppers, token, now)
            connection.execute(sql.BUMP)
            return self._find(connection, key.id), token

    def revoke(self, reference: str) -> KeyRecord:
        """End the key for good; it stays visible. Revoking twice keeps the first time.

        One that the configuration dropped would come back with its entry: from now on it does not.
        """
        now = self._now()
        with self._database.writing() as connection:
            key = self._find(connection, reference)
            if key.revoked_by is not Origin.HAND:
                writing.revoke(connection, key.id, now if key.revoked_at is None else key.revoked_at, Origin.HAND)
                connection.execute(sql.BUMP)
            return self._find(connection, key.id)

    def delete(self, reference: str) -> KeyRecord:
        """End the key and forget it; returns what it was. A name that several keys have had is refused.

        KeyManagedError for a key of the configuration, unless its entry is gone: else the next start would make it
        again, and the mark that its secret was revoked must stay.
        """
        with self._database.writing() as connection:
            key = self._find(connection, reference, only=True)
            if key.revoked_by is not Origin.CONFIGURATION:
                key = _own(key)
            connection.execute(sql.DROP_SECRETS, {"key": key.id})
            connection.execute(sql.DROP_KEY, {"key": key.id})
            connection.execute(sql.BUMP)
            return key

    def close(self) -> None:
        self._database.close()

    def _locked(self, connection: Connection, reference: str) -> KeyRecord:
        key_id = self._find(connection, reference).id
        row = connection.execute(sql.LOCK, {"key": key_id}).one_or_none()
        if row is None:  # PostgreSQL only: deleted between the two statements
            raise KeyNotFoundError("no key has that id or name")
        if row.revoked_at is not None:
            raise KeyEndedError("the key is revoked, which is final: create a new one")
        return key_record(row, ())

    def _find(self, connection: Connection, reference: str, *, only: bool = False) -> KeyRecord:
        if not reference.isprintable():  # drivers fail in their own ways on NUL and lone surrogates
            raise KeyNotFoundError("no key has that id or name")
        rows = connection.execute(sql.FIND, {"reference": reference}).all()
        exact = [row for row in rows if row.id == reference]
        usable = [row for row in rows if row.revoked_at is None]
        found = exact or (usable if usable and not only else rows)
        if not found:
            raise KeyNotFoundError("no key has that id or name")
        if len(found) > 1:
            raise KeyNotFoundError("several keys have that name, give an id: " + ", ".join(row.id for row in found))
        secrets = connection.execute(sql.SECRETS_OF, {"key": found[0].id}).all()
        return key_record(found[0], map(secret, secrets))


def _own(key: KeyRecord) -> KeyRecord:
    """`key`, if it is changed here."""
    if key.origin is Origin.CONFIGURATION:
        raise KeyManagedError(
            f"key '{key.grant.name}' comes from `keys` of the configuration: change it, or its secret file, there"
        )
    return key


def check_name(connection: Connection, name: str) -> None:
    """KeyManagedError if the configuration has a key called `name`: it would not start again beside another one."""
    rows = connection.execute(sql.FIND, {"reference": name}).all()
    if any(row.name == name and row.revoked_at is None and row.origin == Origin.CONFIGURATION for row in rows):
        raise KeyManagedError(f"`keys` of the configuration has a key named '{name}': choose another name")


def _revision(connection: Connection) -> int:
    return connection.execute(sql.REVISION).scalar_one()


def assemble(keys: Iterable[_Row], secrets: Iterable[_Row]) -> Iterable[KeyRecord]:
    """The records that can be read."""
    by_key: dict[str, list[Secret]] = defaultdict(list)
    for row in secrets:
        by_key[row.key_id].append(secret(row))
    for row in keys:
        try:
            yield key_record(row, by_key[row.id])
        except (TypeError, ValueError):
            # One row that cannot be understood closes that one key; it must not keep a revocation of another from
            # being seen, which it would if the whole load failed.
            _log.warning("key %s cannot be read and is refused: written by a newer gateway, or damaged", row.id)
