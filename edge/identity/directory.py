"""The keys in memory: look-up by id, digest comparison, and which keys ended. The only look-up on the request path.

`authenticate` does the same work for an unknown id as for a known one, and there is one refusal for everything: typing
error, unknown, wrong secret, revoked, expired. No sleeping either: a library that delayed only failures revealed by
that which keys were valid (CVE-2026-23996, facts/security.md 2.1).
"""

from __future__ import annotations

import hmac
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from edge.identity.pepper import Peppers
from edge.identity.record import KeyRecord, Secret, Snapshot, Status
from edge.identity.token import Token, parse
from policies.errors import Refusal
from policies.principal import Principal
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class _Entry:
    record: KeyRecord
    principal: Principal


@dataclass(frozen=True, slots=True)
class Contents:
    """A snapshot made ready for look-ups; built in the watcher's thread, swapped in on the loop."""

    revision: int
    entries: Mapping[str, _Entry]
    ends: tuple[tuple[float, str], ...]


def prepare(snapshot: Snapshot) -> Contents:
    """Index `snapshot`: principals are made here once, so that a request allocates none."""
    entries = {record.id: _Entry(record, record.principal()) for record in snapshot.records}
    ends = sorted(
        (record.grant.expires_at, record.id) for record in snapshot.records if record.grant.expires_at is not None
    )
    return Contents(snapshot.revision, entries, tuple(ends))


class KeyDirectory:
    """All keys as of one revision."""

    def __init__(self, peppers: Peppers) -> None:
        self._peppers = peppers
        self._contents = prepare(Snapshot(-1, ()))
        self._passed = 0  # how many of `ends` `expired` has reported
        self._seen = 0.0  # when it last looked
        # What an unknown id is compared with: no token has this digest.
        self._dummy = (Secret(bytes(32), peppers.current, 0.0, 0.0),)

    @property
    def revision(self) -> int:
        """The store's revision that is loaded; -1 before the first load."""
        return self._contents.revision

    @property
    def size(self) -> int:
        """How many keys are known, ended ones included."""
        return len(self._contents.entries)

    def authenticate(self, text: str, now: float) -> Principal:
        """The principal of key `text` at `now` (seconds since the epoch).

        Raises Refusal(INVALID_CREDENTIAL) for anything but a live secret of a live key; `detail` holds no secret.
        """
        token = parse(text)
        if token is None:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail="malformed key")
        entry = self._contents.entries.get(token.id)
        secret = self._match(token, entry.record.secrets if entry else self._dummy)
        if entry is None or secret is None:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail=f"no such key or wrong secret: {token.id}")
        status = entry.record.status(now)
        if status is not Status.ACTIVE:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail=f"{status.value} key {token.id}")
        if not secret.live(now):
            raise Refusal(Reason.INVALID_CREDENTIAL, detail=f"rotated-out secret of key {token.id}")
        return entry.principal

    def _match(self, token: Token, secrets: tuple[Secret, ...]) -> Secret | None:
        """The one whose digest is the token's. All are compared, whichever fits."""
        found = None
        digests: dict[int, bytes] = {}
        for secret in secrets or self._dummy:
            pepper_id = secret.pepper_id
            if pepper_id not in self._peppers.secrets:
                continue  # a replica with another pepper file wrote it; `doctor` can tell, a caller cannot
            if pepper_id not in digests:
                digests[pepper_id] = self._peppers.digest(token, pepper_id)
            if hmac.compare_digest(digests[pepper_id], secret.digest):
                found = secret
        return found

    def swap(self, contents: Contents, now: float) -> frozenset[str]:
        """Take over `contents`; returns the ids whose running streams must end: see `_goes_on`.

        If it raises, nothing was taken over, so the watcher's next attempt still finds who ended.
        """
        after, seen = contents.entries, self._seen
        ended = frozenset(
            key_id
            for key_id, entry in self._contents.entries.items()
            if entry.record.status(seen) is Status.ACTIVE
            and not _goes_on(entry.record, after[key_id].record if key_id in after else None, now)
        )
        # What is over already was reported above, if it was alive when last looked at.
        passed = bisect_right(contents.ends, now, key=lambda end: end[0])
        self._contents, self._passed, self._seen = contents, passed, now
        return ended

    def expired(self, now: float) -> frozenset[str]:
        """Ids whose expiry passed since the last call; each is reported once."""
        ends, start, self._seen = self._contents.ends, self._passed, now
        while self._passed < len(ends) and ends[self._passed][0] <= now:
            self._passed += 1
        return frozenset(key_id for _, key_id in ends[start : self._passed])

    def next_expiry(self) -> float | None:
        """When the next key expires (seconds since the epoch); None if none will."""
        ends = self._contents.ends
        return ends[self._passed][0] if self._passed < len(ends) else None


def _goes_on(old: KeyRecord, new: KeyRecord | None, now: float) -> bool:
    """Whether streams of `old` may run on under `new`: not if it is gone, over, or lost a secret that was still good.

    The last is a rotation without overlap, the answer to a leak: all of the key's streams are cut, since they were
    begun with what leaked. A secret that runs out at the end of its overlap is no longer good by then and cuts nothing:
    the overlap is there so that work can finish, and a stream has its own time limit.
    """
    if new is None or new.status(now) is not Status.ACTIVE:
        return False
    live = {secret.digest for secret in new.secrets if secret.live(now)}
    return all(secret.digest in live for secret in old.secrets if secret.live(now))
