"""What several stores write: a key, a secret of it, its end. Each within the caller's transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from edge.identity.grant import Grant
from edge.identity.pepper import Peppers
from edge.identity.record import Origin
from edge.identity.store import statements as sql
from edge.identity.store.rows import grant_values
from edge.identity.token import Token


def add_key(connection: Connection, key_id: str, grant: Grant, now: float, origin: Origin = Origin.HAND) -> None:
    """A new key without a secret."""
    values = grant_values(grant) | {"id": key_id, "created_at": now, "origin": origin.value}
    connection.execute(sql.ADD_KEY, values)


def add_secret(connection: Connection, peppers: Peppers, token: Token, now: float) -> None:
    """The digest of `token`, for its key, good from `now` on and without an end."""
    row = {
        "key_id": token.id,
        "digest": peppers.digest(token),
        "pepper_id": peppers.current,
        "not_before": now,
        "created_at": now,
    }
    connection.execute(sql.ADD_SECRET, row)


def end_secrets(connection: Connection, key_id: str, end: float, now: float) -> None:
    """No secret of the key is good after `end`; those that are over by `now` are forgotten."""
    connection.execute(sql.END_SECRET, {"key": key_id, "end": end})
    connection.execute(sql.DROP_DEAD, {"key": key_id, "instant": now})


def revoke(connection: Connection, key_id: str, now: float, by: Origin) -> None:
    """The key is over."""
    connection.execute(sql.CHANGE.values(revoked_at=now, revoked_by=by.value), {"key": key_id})
    connection.execute(sql.DROP_SECRETS, {"key": key_id})
