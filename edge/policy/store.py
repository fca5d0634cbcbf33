"""PolicyStore: revisions, history, drafts, the shadow and the fleet. Synchronous: callers run it in a thread.

What another gateway must react to (another policy, another shadow) raises one counter in the same transaction, so that
"has anything changed?" is a one-row question. Drafts, counters and the fleet do not: nothing runs differently by them.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, Row

from edge.identity.state import StateError
from edge.policy import store_statements as sql
from edge.policy.errors import PolicyMoved, PolicyToolError
from edge.policy.store_types import Action, Draft, Entry, Instance, StoredRevision, StoredShadow
from edge.store.database import Database
from policies.bundle import Bundle
from policies.json import JSON, Object
from policies.text import one_line

SHORTEST_PREFIX: Final = 6
SHORT: Final = 12
"""How many digits of a revision people are shown."""
_HEX: Final = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
_DRAFT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_RESERVED: Final = frozenset({"active", "default"})
_MAX_AUTHOR: Final = 64
_MAX_NOTE: Final = 2_000
_MAX_INSTANCES: Final = 10_000
_FORGET_AFTER: Final = 7 * 86_400.0
"""Seconds after which a silent OPA is no longer listed."""

_log = logging.getLogger(__name__)


class PolicyStore:
    """The policies of one database. Every method raises StateError when the database does."""

    def __init__(self, database: Database, *, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def version(self) -> int:
        """A number that changes whenever another policy or another shadow is to run."""
        with self._database.reading() as connection:
            return connection.execute(sql.VERSION_OF_POLICY).scalar_one()

    # ------------------------------------------------------------------ revisions and history

    def active(self) -> StoredRevision | None:
        """What was applied last; None if nothing was, or if that was rolled back to the default policy."""
        with self._database.reading() as connection:
            head = _head(connection)
            return None if head is None or head.revision is None else _revision(connection, head.revision)

    def head(self) -> Entry | None:
        """The newest entry of the history."""
        with self._database.reading() as connection:
            return _head(connection)

    def history(self, most: int = 100) -> list[Entry]:
        """The newest entries first."""
        with self._database.reading() as connection:
            return [_entry(row) for row in connection.execute(sql.HISTORY, {"most": most})]

    def find(self, prefix: str) -> StoredRevision:
        """The revision that begins with `prefix` (6 hex digits or more). PolicyToolError."""
        if _HEX.fullmatch(prefix) is None:
            raise _unknown(prefix)
        with self._database.reading() as connection:
            limits = {"first": prefix, "last": prefix + "g"}
            found = connection.execute(sql.REVISIONS_FROM, limits).scalars().all()
            if not found:
                raise _unknown(prefix)
            if len(found) > 1:
                raise PolicyToolError(f"several revisions begin with {prefix}", "give more digits", usage=True)
            return _revision(connection, found[0])

    def apply(
        self, bundle: Bundle | None, *, after: int, author: str, note: str, action: Action, report: Object
    ) -> Entry:
        """Put `bundle` (None: the default policy) in force, if `after` is still the newest entry (0: none).

        PolicyMoved if somebody else was faster; then nothing is changed.
        """
        author, note = _said(author, note)
        now = self._now()
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)
            head = _head(connection)
            if (head.seq if head else 0) != after:
                raise PolicyMoved(
                    f"another policy was applied meanwhile, by {head.author if head else 'somebody'}",
                    "look at `policy history` and `policy diff active REF`, then apply again",
                )
            row = {
                "seq": after + 1,
                "revision": bundle and _keep(connection, bundle, now),
                "previous": head.revision if head else None,
                "action": action.value,
                "at": now,
                "author": author,
                "note": note,
                "report": report,
            }
            connection.execute(sql.ADD_HISTORY, row)
            connection.execute(sql.BUMP)
            connection.execute(sql.DROP_ORPHANS)
            entry = _head(connection)
        if entry is None:
            raise StateError("the history lost what was just written", "check the database")
        return entry

    # ------------------------------------------------------------------ drafts

    def save_draft(self, name: str, bundle: Bundle, author: str) -> Draft:
        """Keep `bundle` as draft `name`, in place of what had that name."""
        if _DRAFT.fullmatch(name) is None or name in _RESERVED or _HEX.fullmatch(name) is not None:
            raise PolicyToolError(
                "that cannot be a draft's name",
                "use a-z, 0-9, `.`, `_` and `-`, at most 64; not `active`, `default` or what reads like a revision",
                usage=True,
            )
        author, _ = _said(author, "")
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)
            connection.execute(sql.DROP_DRAFT, {"wanted": name})
            row = {"name": name, **_columns(bundle), "updated_at": self._now(), "author": author}
            connection.execute(sql.ADD_DRAFT, row)
        return self.draft(name)

    def draft(self, name: str) -> Draft:
        """One draft. PolicyToolError if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(sql.DRAFT, {"wanted": name}).one_or_none() if name.isprintable() else None
        if row is None:
            raise PolicyToolError("there is no such draft", "see `policy draft list`", usage=True)
        return _draft(row)

    def drafts(self) -> list[Draft]:
        """All drafts, by name."""
        with self._database.reading() as connection:
            return [_draft(row) for row in connection.execute(sql.DRAFTS)]

    def delete_draft(self, name: str) -> Draft:
        """Forget a draft; returns what it was."""
        draft = self.draft(name)
        with self._database.writing() as connection:
            connection.execute(sql.DROP_DRAFT, {"wanted": name})
        return draft

    # ------------------------------------------------------------------ the shadow

    def shadow(self) -> StoredShadow | None:
        """The candidate that runs beside the live policy, with its counters so far."""
        with self._database.reading() as connection:
            return _shadow(connection)

    def start_shadow(self, bundle: Bundle, sample: float, author: str) -> StoredShadow:
        """Let `bundle` run beside the live policy, in place of another candidate."""
        author, _ = _said(author, "")
        now = self._now()
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)
            connection.execute(sql.DROP_SHADOW)
            revision = _keep(connection, bundle, now)
            row = {"id": 1, "revision": revision, "sample": sample, "started_at": now, "author": author}
            connection.execute(sql.ADD_SHADOW, {**row, "counters": {}})
            connection.execute(sql.DROP_ORPHANS)
            connection.execute(sql.BUMP)
        return StoredShadow(bundle, sample, now, author, {})

    def stop_shadow(self) -> StoredShadow | None:
        """End it; returns what it counted, None if none ran."""
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)
            row = connection.execute(sql.SHADOW).one_or_none()
            connection.execute(sql.DROP_SHADOW)
            connection.execute(sql.DROP_ORPHANS)
            connection.execute(sql.BUMP)
        return None if row is None else _stored_shadow(row)

    def count_shadow(self, identity: tuple[str, float, float], add: Callable[[Object], Object]) -> bool:
        """Replace the counters by `add` of them; False if `identity` is not the shadow that runs now."""
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)  # several gateways count into one row
            shadow = _shadow(connection)
            if shadow is None or shadow.identity != identity:
                return False
            connection.execute(sql.COUNT_SHADOW, {"sums": add(shadow.counters)})
        return True

    # ------------------------------------------------------------------ the fleet

    def report_instance(self, instance: Instance) -> None:
        """Keep what an OPA of the fleet said; who has been silent for a week is forgotten."""
        with self._database.writing() as connection:
            connection.execute(sql.LOCK_POLICY)
            connection.execute(sql.DROP_INSTANCE, {"wanted": one_line(instance.id, 128)})
            row = instance.document()
            for name, most in (("id", 128), ("revision", 128), ("code", 64), ("message", _MAX_NOTE)):
                row[name] = one_line(str(row[name]), most)
            connection.execute(sql.ADD_INSTANCE, row)
            connection.execute(sql.DROP_SILENT, {"instant": instance.seen_at - _FORGET_AFTER})

    def instances(self) -> list[Instance]:
        """The fleet, the latest word first."""
        with self._database.reading() as connection:
            rows = connection.execute(sql.INSTANCES, {"most": _MAX_INSTANCES}).all()
        return [Instance(row.id, dict(row.labels), row.revision, row.seen_at, row.code, row.message) for row in rows]


def _unknown(reference: str) -> PolicyToolError:
    shown = reference if reference.isprintable() and len(reference) <= _MAX_AUTHOR else "that"
    return PolicyToolError(
        f"there is no policy '{shown}'",
        f"give a folder, a draft's name, {SHORTEST_PREFIX} digits or more of a revision, `active` or `default`",
        usage=True,
    )


def _said(author: str, note: str) -> tuple[str, str]:
    """Author and note as they are kept."""
    return one_line(author, _MAX_AUTHOR) or "unknown", one_line(note, _MAX_NOTE)


def _head(connection: Connection) -> Entry | None:
    row = connection.execute(sql.HISTORY, {"most": 1}).one_or_none()
    return None if row is None else _entry(row)


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(row.seq, row.revision, row.previous, Action(row.action), row.at, row.author, row.note, row.report)


def _columns(bundle: Bundle) -> dict[str, Mapping[str, JSON]]:
    return {"modules": dict(bundle.modules), "tests": dict(bundle.tests), "data": dict(bundle.data)}


def _bundle(row: Row[tuple[object, ...]]) -> Bundle:
    return Bundle(dict(row.modules), dict(row.tests), dict(row.data))


def _draft(row: Row[tuple[object, ...]]) -> Draft:
    return Draft(row.name, _bundle(row), row.updated_at, row.author)


def _keep(connection: Connection, bundle: Bundle, now: float) -> str:
    """Store `bundle` if it is new; its revision."""
    revision = bundle.revision
    if connection.execute(sql.REVISION, {"wanted": revision}).one_or_none() is None:
        connection.execute(sql.ADD_REVISION, {"revision": revision, **_columns(bundle), "created_at": now})
    return revision


def _revision(connection: Connection, revision: str) -> StoredRevision:
    row = connection.execute(sql.REVISION, {"wanted": revision}).one()
    return StoredRevision(revision, _whole(_bundle(row), revision), row.created_at)


def _shadow(connection: Connection) -> StoredShadow | None:
    row = connection.execute(sql.SHADOW).one_or_none()
    if row is None:
        return None
    shadow = _stored_shadow(row)
    if shadow.bundle.revision != row.revision:  # it decides nothing: the live policy must not suffer from it
        _log.warning("the shadow policy %s in the database is damaged and does not run", row.revision[:SHORT])
        return None
    return shadow


def _stored_shadow(row: Row[tuple[object, ...]]) -> StoredShadow:
    return StoredShadow(_bundle(row), row.sample, row.started_at, row.author, dict(row.counters))


def _whole(bundle: Bundle, revision: str) -> Bundle:
    """A row whose text is not what its hash says was changed behind our back: whatever it allows, nobody tested it."""
    if bundle.revision != revision:
        raise StateError(
            f"policy revision {revision[:SHORT]} in the database is damaged", "apply a policy again, or roll back"
        )
    return bundle
