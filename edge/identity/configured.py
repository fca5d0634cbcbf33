"""Keys that the configuration names: what an entry says, and what follows from all of them. Pure.

An entry's secret is a file with a token that `llm-gateway keys secret` made. No other text will do: a token is
long enough that a fast digest protects it, every log filter and secret scanner knows its shape, and its id is what the
request path looks up (docs/decisions/0032).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from edge.identity import grant as checks
from edge.identity.grant import Grant
from edge.identity.record import KeyRecord, Origin, Secret, Status
from edge.identity.token import Token
from policies.principal import DEFAULT_SCOPES, Network, Quota, Scope

_HOUR: Final = 3600.0
_COUNTS: Final = ("rpm", "tpm", "tpd", "concurrency")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredKey:
    """A key whose secret stands in a file; the fields are those of `keys create`.

    `overlap` is how long (seconds) the secret before goes on working once the file holds another one.
    """

    name: str
    secret_file: Path
    owner: str | None = None
    device: str | None = None
    groups: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = tuple(sorted(DEFAULT_SCOPES))
    models: tuple[str, ...] = ("*",)
    networks: tuple[Network, ...] = ()
    listeners: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    priority: str | None = None
    preset: str | None = None
    expires_at: str | None = None
    overlap: float = _HOUR

    def __post_init__(self) -> None:
        for text in (self.name, *self.groups, *(text for text in (self.owner, self.device) if text is not None)):
            checks.label(text)
        for text in self.models:
            checks.glob(text)
        for text in (*self.listeners, *([] if self.priority is None else [self.priority])):
            checks.word(text)
        if self.preset is not None:
            checks.preset(self.preset)
        for count in _COUNTS:
            if getattr(self, count) == 0:
                raise ValueError(f"{count} must be at least 1; leave the entry out for a key that may do nothing")
        _ = self.grant

    @property
    def grant(self) -> Grant:
        """What the key may do. ValueError for an `expires_at` that is no time."""
        return Grant(
            name=self.name,
            owner=self.owner or "",
            groups=self.groups,
            scopes=self.scopes,
            models=self.models,
            networks=self.networks,
            listeners=self.listeners,
            quota=Quota(self.rpm, self.tpm, self.tpd, self.concurrency, self.priority),
            expires_at=_instant(self.expires_at),
            device=self.device or "",
            preset=self.preset or "",
        )


def _instant(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expires_at must be a date or a time like 2026-12-01 or 2026-12-01T18:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry with what its file holds."""

    grant: Grant
    token: Token = field(repr=False)
    overlap: float = _HOUR


class KeyClashError(Exception):
    """What the configuration wants cannot be: `problem`, and the `step` that helps."""

    def __init__(self, problem: str, step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.step = step


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was not there; or one that the configuration had dropped, and names again."""

    wanted: Wanted
    before: KeyRecord | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The entry says something else than the key."""

    record: KeyRecord
    grant: Grant


@dataclass(frozen=True, slots=True)
class Rotated:
    """The file holds another secret of the same key; the one before works `overlap` seconds longer."""

    record: KeyRecord
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Replaced:
    """The file holds another key's secret; this key runs out, and until then may do what the entry says: `grant`."""

    record: KeyRecord
    grant: Grant


@dataclass(frozen=True, slots=True)
class Dropped:
    """No entry has this key any more."""

    record: KeyRecord


Change: TypeAlias = Made | Changed | Rotated | Replaced | Dropped
Matches: TypeAlias = Callable[[Secret, Token], bool]
"""Whether a stored secret is that of the token."""


def plan(wanted: Sequence[Wanted], records: Sequence[KeyRecord], matches: Matches, now: float) -> list[Change]:
    """What is to be done so that the keys are as `wanted`; [] if they are. KeyClashError.

    Keys made by hand, and those of Compose stacks, are never touched. A key that a person has revoked stays revoked.
    """
    known = {record.id: record for record in records}
    taken = {
        record.grant.name
        for record in records
        if record.origin is not Origin.CONFIGURATION and record.revoked_at is None
    }
    changes: list[Change] = []
    for each in wanted:
        if each.grant.name in taken:
            raise KeyClashError(
                f"`keys` has an entry '{each.grant.name}', and a key made elsewhere has that name",
                "rename one of them (keys update NAME --name OTHER)",
            )
        changes += _for(each, known.get(each.token.id), matches)
    return [*changes, *_surplus(wanted, records, now)]


def _for(wanted: Wanted, record: KeyRecord | None, matches: Matches) -> Iterator[Change]:
    name = wanted.grant.name
    if record is None:
        yield Made(wanted)
        return
    if record.origin is not Origin.CONFIGURATION:
        raise KeyClashError(
            f"the secret file of '{name}' holds the key '{record.grant.name}' ({record.id}), which was made elsewhere",
            "give the entry a secret of its own: llm-gateway keys secret > FILE",
        )
    if record.revoked_by not in (None, Origin.CONFIGURATION):
        raise KeyClashError(
            f"the secret file of '{name}' holds a key that was revoked ({record.id}), which is final",
            "make a new one: llm-gateway keys secret > FILE",
        )
    if record.revoked_at is not None:
        yield Made(wanted, record)
        return
    if record.grant != wanted.grant:
        yield Changed(record, wanted.grant)
    if not any(secret.expires_at is None and matches(secret, wanted.token) for secret in record.secrets):
        yield Rotated(record, wanted)


def _surplus(wanted: Sequence[Wanted], records: Sequence[KeyRecord], now: float) -> Iterator[Change]:
    ids, entries = {each.token.id for each in wanted}, {each.grant.name: each for each in wanted}
    for record in records:
        if record.origin is not Origin.CONFIGURATION or record.id in ids or record.revoked_at is not None:
            continue
        entry = entries.get(record.grant.name)
        if entry is None or not entry.overlap:
            yield Dropped(record)
        elif record.status(now) is Status.ACTIVE:
            ends = (record.grant.expires_at, entry.grant.expires_at, now + entry.overlap)
            grant = replace(entry.grant, expires_at=min(end for end in ends if end is not None))
            if grant != record.grant:
                yield Replaced(record, grant)
