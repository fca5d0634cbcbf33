"""A stored key as the rest of the house sees it: no SQL here, so the request path never imports any."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from edge.identity.grant import Grant
from policies.json import Object
from policies.principal import Principal


class Status(StrEnum):
    """How a key stands at one instant."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Origin(StrEnum):
    """Who made a key, and so who may change it."""

    HAND = "hand"
    """A person, with `keys create`; or the gateway on its first start."""
    CONFIGURATION = "configuration"
    """`keys` of the configuration: it says what the key is, and a file holds its secret."""
    COMPOSE = "compose"
    """The Compose provider, for one service of one stack."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a key, as its digest. Valid in `[not_before, expires_at)`; seconds since the epoch, None = open."""

    digest: bytes = field(repr=False)
    pepper_id: int
    not_before: float
    expires_at: float | None

    def live(self, now: float) -> bool:
        return self.not_before <= now and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key: its id never changes, its secrets rotate. Times are seconds since the epoch.

    `revoked_by` is None unless it is revoked.
    """

    id: str
    grant: Grant
    created_at: float
    revoked_at: float | None = None
    secrets: tuple[Secret, ...] = ()
    origin: Origin = Origin.HAND
    revoked_by: Origin | None = None

    def status(self, now: float) -> Status:
        if self.revoked_at is not None:
            return Status.REVOKED
        if self.grant.expires_at is not None and now >= self.grant.expires_at:
            return Status.EXPIRED
        return Status.ACTIVE

    def principal(self) -> Principal:
        """The caller that holds any of the secrets; it expires when the key does.

        Not when its secret is rotated out: running streams are cut at `expires_at`, and the end of an overlap cuts none
        (directory._goes_on). A secret that has run out opens no new request: see `Secret.live`.
        """
        grant = self.grant
        return Principal(
            id=grant.owner or grant.name,
            key_id=self.id,
            name=grant.name,
            auth="key",
            groups=frozenset(grant.groups),
            scopes=frozenset(grant.scopes),
            models=grant.models,
            networks=grant.networks,
            listeners=frozenset(grant.listeners),
            expires_at=grant.expires_at,
            quota=grant.quota,
            device=grant.device,
            preset=grant.preset,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys as of `revision`; the records may be newer than the revision says, never older."""

    revision: int
    records: tuple[KeyRecord, ...]


def document(record: KeyRecord, now: float) -> Object:
    """The key as JSON for scripts: never a secret or digest; times are RFC 3339 UTC, null = never."""
    grant, quota = record.grant, record.grant.quota
    return {
        "id": record.id,
        "name": grant.name,
        "owner": grant.owner or grant.name,
        "device": grant.device or None,
        "status": record.status(now).value,
        "origin": record.origin.value,
        "groups": list(grant.groups),
        "scopes": [scope.value for scope in grant.scopes],
        "models": list(grant.models),
        "networks": [str(network) for network in grant.networks],
        "listeners": list(grant.listeners),
        "rpm": quota.rpm,
        "tpm": quota.tpm,
        "tpd": quota.tpd,
        "concurrency": quota.concurrency,
        "priority": quota.priority,
        "preset": grant.preset or None,
        "created_at": stamp(record.created_at),
        "expires_at": stamp(grant.expires_at),
        "revoked_at": stamp(record.revoked_at),
        "secrets": [
            {"not_before": stamp(secret.not_before), "expires_at": stamp(secret.expires_at)}
            for secret in record.secrets
            if secret.expires_at is None or now < secret.expires_at
        ],
    }


def stamp(instant: float | None) -> str | None:
    """RFC 3339 in UTC, whole seconds; None stays None."""
    return None if instant is None else datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
