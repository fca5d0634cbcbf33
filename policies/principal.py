"""Who is calling: one value, whether the credential was a key or a JWT (later a certificate or a VPN identity)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network


class Scope(StrEnum):
    """What a credential may do at all."""

    INFERENCE = "inference"
    MODELS_READ = "models:read"
    MODELS_WRITE = "models:write"
    USAGE_READ = "usage:read"
    """For who looks on: what runs, and what has ended, of all callers (`/live`)."""
    POLICY_SYNC = "policy:sync"
    """For an OPA of the fleet: fetch the policy, report status and decisions; nothing else."""
    METRICS_READ = "metrics:read"
    """For whoever scrapes `/metrics`: it names callers and models, and is nothing else's business."""
    CAPTURE_READ = "capture:read"
    """For whoever reads captured prompts and answers; no other scope holds it, `admin` neither."""
    ADMIN = "admin"


DEFAULT_SCOPES: frozenset[Scope] = frozenset({Scope.INFERENCE, Scope.MODELS_READ})


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits carried by a credential; None = no limit of its own. Enforced by `edge/limits` (issue 4)."""

    rpm: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    concurrency: int | None = None
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    `id` is the owner the caller acts for, `key_id` names the credential in logs (a key's id, or `jwt:` and the `id`),
    `name` is its label. `models` are globs over canonical model names; `networks` and `listeners` empty = anywhere.
    `expires_at` is seconds since the epoch, None = never. `device` is the machine a key was given to: a label for
    people, never a proof, since a key can be carried elsewhere. `preset` is the one a key is bound to, "" = none.
    """

    id: str
    key_id: str
    name: str
    auth: Literal["key", "jwt"]
    groups: frozenset[str]
    scopes: frozenset[Scope]
    models: tuple[str, ...] = ("*",)
    networks: tuple[Network, ...] = ()
    listeners: frozenset[str] = frozenset()
    expires_at: float | None = None
    quota: Quota = Quota()
    device: str = ""
    preset: str = ""
