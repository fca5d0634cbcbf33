"""Settings of one JWT issuer, checked when they are made. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from policies.principal import DEFAULT_SCOPES, Network, Quota, Scope

MAX_LEEWAY: Final = 60.0
_DAY: Final = 86_400.0
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._\-]{0,31}", re.ASCII)
_NO_LIMITS: Final = Quota()

# Asymmetric only (RFC 8725 3.1): with HS* in the list, an RSA public key, which is public, becomes a signing key.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may vouch for callers, and how their claims become a Principal. ValueError if the parts do not fit.

    `issuer` must equal the `iss` claim exactly; one of `audience` must be in `aud`. Keys come from `key_file` (a PEM
    public key or certificate, or a JWKS document) or from `jwks_url`. `typ` None takes JWT, at+jwt or none; RFC 9068
    issuers send `at+jwt`, so set it where the IdP does. `leeway` (seconds, <= 60) is for `nbf` and `iat`, never `exp`.

    Claims may be named plainly or as a dotted path (`realm_access.roles`). A scope a token carries counts only if
    `scope_mapping` names it: what an IdP hands out on request must not become `admin` by sharing a spelling. Everybody
    from this issuer gets `default_scopes`. `models` are the globs of tokens without the `models_claim`; None is all
    models if no claim is configured, and none if one is.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    algorithms: frozenset[str] = frozenset({"RS256", "ES256"})
    key_file: Path | None = None
    jwks_url: str | None = None
    subject_claim: str = "sub"
    groups_claim: str | None = None
    scopes_claim: str | None = None
    scope_mapping: Mapping[str, Scope] = field(default_factory=dict)
    default_scopes: frozenset[Scope] = DEFAULT_SCOPES
    models_claim: str | None = None
    models: tuple[str, ...] | None = None
    networks: tuple[Network, ...] = ()
    listeners: frozenset[str] = frozenset()
    quota: Quota = _NO_LIMITS
    max_lifetime: float = _DAY
    leeway: float = MAX_LEEWAY
    typ: str | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError("an issuer's name is up to 32 lower-case letters, digits, '.', '_' or '-'")
        if not self.issuer or not self.audience or not all(self.audience):
            raise ValueError(f"issuer {self.name}: issuer and audience must not be empty")
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise ValueError(f"issuer {self.name}: algorithms are some of {', '.join(sorted(ALGORITHMS))}")
        if (self.key_file is None) == (self.jwks_url is None):
            raise ValueError(f"issuer {self.name}: give either key_file or jwks_url")
        if not 0 <= self.leeway <= MAX_LEEWAY or self.max_lifetime <= 0:
            raise ValueError(f"issuer {self.name}: leeway is 0 to 60 seconds, max_lifetime above 0")
        if self.jwks_url is not None:
            check_url(self.jwks_url)

    @property
    def unclaimed_models(self) -> tuple[str, ...]:
        """The globs of a token whose models claim is not configured, absent or null.

        A `models_claim` is a restriction. With a typo in its path no token has it, and that must not open every model.
        """
        if self.models is not None:
            return self.models
        return ("*",) if self.models_claim is None else ()


def check_url(url: str) -> None:
    """ValueError unless `url` is https, or http to a loopback host (an IdP in development)."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.fragment or not parts.hostname:
        raise ValueError("a JWKS URL is https://host/path, without user, password or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(parts.hostname)):
        raise ValueError("a JWKS URL must be https (http only to localhost)")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
