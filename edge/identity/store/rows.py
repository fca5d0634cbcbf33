"""Rows <-> records."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import TypeAlias

from sqlalchemy import Row

from edge.identity.grant import Grant
from edge.identity.record import KeyRecord, Origin, Secret
from policies.principal import Quota, Scope

Values: TypeAlias = "dict[str, str | float | list[str] | None]"


def grant_values(grant: Grant) -> Values:
    """The columns of `keys` that a grant fills."""
    return {
        "name": grant.name,
        "owner": grant.owner,
        "groups": list(grant.groups),
        "scopes": [scope.value for scope in grant.scopes],
        "models": list(grant.models),
        "networks": [str(network) for network in grant.networks],
        "listeners": list(grant.listeners),
        "rpm": grant.quota.rpm,
        "tpm": grant.quota.tpm,
        "tpd": grant.quota.tpd,
        "concurrency": grant.quota.concurrency,
        "priority": grant.quota.priority,
        "expires_at": grant.expires_at,
        "device": grant.device or None,
        "preset": grant.preset or None,
    }


def key_record(row: Row[tuple[object, ...]], secrets: Iterable[Secret]) -> KeyRecord:
    """One row of `keys` with its secrets. ValueError for a scope, network or origin that this version does not know:
    such a row was not written by us, and guessing what it means could widen it."""
    return KeyRecord(
        id=row.id,
        grant=Grant(
            name=row.name,
            owner=row.owner,
            groups=tuple(row.groups),
            scopes=tuple(Scope(scope) for scope in row.scopes),
            models=tuple(row.models),
            networks=tuple(ip_network(network) for network in row.networks),
            listeners=tuple(row.listeners),
            quota=Quota(row.rpm, row.tpm, row.tpd, row.concurrency, row.priority),
            expires_at=row.expires_at,
            device=row.device or "",
            preset=row.preset or "",
        ),
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        secrets=tuple(secrets),
        origin=Origin(row.origin or Origin.HAND),
        revoked_by=None if row.revoked_at is None else Origin(row.revoked_by or Origin.HAND),
    )


def secret(row: Row[tuple[object, ...]]) -> Secret:
    """One row of `key_secrets`."""
    return Secret(bytes(row.digest), row.pepper_id, row.not_before, row.expires_at)
