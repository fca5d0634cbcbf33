"""The keys of the configuration in the database: made, changed, rotated and revoked as its entries say.

Idempotent, and one writer at a time over all processes: gateways that start together on one database with the same
entries end with one key for each.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Sequence
from typing import assert_never

from sqlalchemy import Connection

from edge.identity.configured import (
    Change,
    Changed,
    ConfiguredKey,
    Dropped,
    KeyClashError,
    Made,
    Replaced,
    Rotated,
    Wanted,
    plan,
)
from edge.identity.duration import spell
from edge.identity.pepper import Peppers
from edge.identity.record import KeyRecord, Origin, Secret
from edge.identity.secret_file import SecretFileError, read_token
from edge.identity.state import StateError
from edge.identity.store import statements as sql
from edge.identity.store import writing
from edge.identity.store.rows import grant_values
from edge.identity.store.store import assemble
from edge.identity.token import Token
from edge.store.database import Database

_log = logging.getLogger(__name__)


class ConfiguredKeys:
    """Brings the keys of one database in line with the configuration. `now` is seconds since the epoch."""

    def __init__(self, database: Database, peppers: Peppers, now: Callable[[], float]) -> None:
        self._database = database
        self._peppers = peppers
        self._now = now

    def follow(self, entries: Sequence[ConfiguredKey]) -> list[Change]:
        """Read the entries' files, do what is to be done, log it, and return it. StateError, and nothing is done."""
        wanted = [_read(entry) for entry in entries]
        now = self._now()
        try:
            with self._database.reading() as connection:
                changes = self._plan(connection, wanted, now)
            if not changes:
                return []
            with self._database.writing() as connection:
                connection.execute(sql.BUMP)  # first, since it makes all other writers of keys wait
                changes = self._plan(connection, wanted, now)
                for change in changes:
                    self._do(connection, change, now)
        except KeyClashError as clash:
            raise StateError(clash.problem, clash.step) from None
        for change in changes:
            _tell(change)
        return changes

    def _plan(self, connection: Connection, wanted: Sequence[Wanted], now: float) -> list[Change]:
        keys, secrets = connection.execute(sql.ALL_KEYS).all(), connection.execute(sql.ALL_SECRETS).all()
        return plan(wanted, tuple(assemble(keys, secrets)), self._matches, now)

    def _matches(self, secret: Secret, token: Token) -> bool:
        if secret.pepper_id not in self._peppers.secrets:
            return False
        return hmac.compare_digest(self._peppers.digest(token, secret.pepper_id), secret.digest)

    def _do(self, connection: Connection, change: Change, now: float) -> None:
        match change:
            case Made(wanted, before):
                if before is None:
                    writing.add_key(connection, wanted.token.id, wanted.grant, now, Origin.CONFIGURATION)
                else:
                    values = grant_values(wanted.grant) | {"revoked_at": None, "revoked_by": None}
                    connection.execute(sql.CHANGE.values(**values), {"key": before.id})
                writing.add_secret(connection, self._peppers, wanted.token, now)
            case Changed(record, grant) | Replaced(record, grant):
                connection.execute(sql.CHANGE.values(**grant_values(grant)), {"key": record.id})
            case Rotated(record, wanted):
                # The one in the file may be one that was rotated out: it comes back without an end.
                writing.end_secrets(connection, record.id, now + wanted.overlap, now)
                writing.add_secret(connection, self._peppers, wanted.token, now)
            case Dropped(record):
                writing.revoke(connection, record.id, now, Origin.CONFIGURATION)
            case _:
                assert_never(change)


def _read(entry: ConfiguredKey) -> Wanted:
    try:
        return Wanted(entry.grant, read_token(entry.secret_file), entry.overlap)
    except SecretFileError as error:
        problem, _, step = str(error).partition(": ")
        raise StateError(f"the secret of key '{entry.name}' ({entry.secret_file}): {problem}", step) from None


def _tell(change: Change) -> None:
    """One line for each: who may call has changed."""
    match change:
        case Made(wanted):
            _log.info("key '%s' (%s) is made: the configuration names it", wanted.grant.name, wanted.token.id)
        case Changed(record, grant):
            _log.info("key '%s' (%s) is changed: its entry in the configuration is another", grant.name, record.id)
        case Rotated(record, wanted):
            lasts = f"works {spell(wanted.overlap)} longer" if wanted.overlap else "has stopped working"
            _log.info("key '%s' (%s) is rotated: its secret file changed; the old one %s", *_who(record), lasts)
        case Replaced(record, _):
            _log.info("key '%s' (%s) runs out: its secret file holds another key's secret", *_who(record))
        case Dropped(record):
            _log.warning("key '%s' (%s) is revoked: the configuration names it no more", *_who(record))
        case _:
            assert_never(change)


def _who(record: KeyRecord) -> tuple[str, str]:
    return record.grant.name, record.id
