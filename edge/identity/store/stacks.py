"""The keys of Compose stacks: one for each service of each stack, from its `up` to its `down`.

Compose asks a provider for the same variables again at every `up`, and makes containers anew when they differ, so the
same secret must come out as long as the key lives. It is not stored: it is derived from the key's random id by the
pepper, which lies outside the database (docs/decisions/0033). After `down` the next `up` has another id.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from hmac import compare_digest

from sqlalchemy import Connection

from edge.identity.grant import Grant
from edge.identity.pepper import Peppers
from edge.identity.record import KeyRecord, Origin, Status
from edge.identity.stack import StackService
from edge.identity.store import statements as sql
from edge.identity.store import writing
from edge.identity.store.rows import grant_values
from edge.identity.store.store import assemble, check_name
from edge.identity.token import Token, mint
from edge.store.database import Database

_log = logging.getLogger(__name__)
_PURPOSE = "compose secret"


class StackKeys:
    """Gives and takes the keys of stacks. Each method blocks, and raises StateError when the database does."""

    def __init__(
        self,
        database: Database,
        peppers: Peppers,
        now: Callable[[], float],
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._peppers = peppers
        self._now = now
        self._randomness = randomness

    def provide(self, which: StackService, grant: Grant) -> tuple[str, Token, bool]:
        """The key of that service: its id, its token, and whether it is new. `grant`'s name and owner are the stack's.

        Again and again the same token, with the grant of the last time, until `withdraw`, or until somebody revokes it.
        KeyManagedError if the configuration has a key of that name.
        """
        grant, now = replace(grant, name=which.name, owner=which.owner), self._now()
        with self._database.writing() as connection:
            connection.execute(sql.BUMP)  # first, since it makes all other writers of keys wait
            mine = self._of(connection, which)
            for record in mine:
                token = self._token(record.id)
                if record.status(now) is Status.ACTIVE and self._holds(record, token):
                    if record.grant != grant:
                        connection.execute(sql.CHANGE.values(**grant_values(grant)), {"key": record.id})
                    return record.id, token, False
            check_name(connection, which.name)
            self._forget(connection, mine, now)
            token = self._token(mint(self._randomness).id)
            writing.add_key(connection, token.id, grant, now, Origin.COMPOSE)
            writing.add_secret(connection, self._peppers, token, now)
        _log.info("key '%s' (%s) is made for a Compose stack", grant.name, token.id)
        return token.id, token, True

    def withdraw(self, which: StackService) -> list[str]:
        """Revoke the key of that service, and cut what it has under way; the ids, [] if it had none."""
        now = self._now()
        with self._database.writing() as connection:
            ended = [record for record in self._of(connection, which) if record.revoked_at is None]
            for record in ended:
                writing.revoke(connection, record.id, now, Origin.COMPOSE)
            if ended:
                connection.execute(sql.BUMP)
        for record in ended:
            _log.info("key '%s' (%s) is revoked: its Compose stack is down", record.grant.name, record.id)
        return [record.id for record in ended]

    def _of(self, connection: Connection, which: StackService) -> list[KeyRecord]:
        keys = connection.execute(sql.FIND, {"reference": which.name}).all()
        secrets = [row for key in keys for row in connection.execute(sql.SECRETS_OF, {"key": key.id})]
        found = assemble(keys, secrets)
        return [each for each in found if each.origin is Origin.COMPOSE and each.grant.owner == which.owner]

    def _forget(self, connection: Connection, records: list[KeyRecord], now: float) -> None:
        """At every `up` and `down` there would be a dead key more. One that a person revoked stays to be seen."""
        for record in records:
            if record.revoked_at is None:
                writing.revoke(connection, record.id, now, Origin.COMPOSE)  # expired, or of another pepper
            elif record.revoked_by is Origin.COMPOSE:
                connection.execute(sql.DROP_KEY, {"key": record.id})

    def _token(self, key_id: str) -> Token:
        return mint(lambda _: self._peppers.derive(_PURPOSE, key_id), key_id=key_id)

    def _holds(self, record: KeyRecord, token: Token) -> bool:
        """Whether what can be derived today is still good: not after the pepper was changed, or `keys rotate`."""
        digest = self._peppers.digest(token)
        return any(secret.expires_at is None and compare_digest(secret.digest, digest) for secret in record.secrets)
