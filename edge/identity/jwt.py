"""JWT -> Principal, by the checklist of RFC 8725 (facts/security.md 2.2). Every failure is the same refusal.

The order is the cost: form, issuer, algorithm, times, key, signature, the other claims. The claims are ours to check,
with the clock that is passed in; PyJWT is asked for the signature only.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Final

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from edge.identity.compact import BadTokenError, Compact, decode
from edge.identity.grant import glob
from edge.identity.issuer import Issuer
from edge.identity.jwks import KeySource
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.principal import Principal
from policies.reasons import Reason

CACHE_SECONDS: Final = 30.0
CACHE_ENTRIES: Final = 4096
_MAX_LIST: Final = 256
_MAX_VALUE: Final = 256
_SAFE: Final = re.compile(r"[A-Za-z0-9._@|:+\-]{1,64}", re.ASCII)
_TYPES: Final = frozenset({"jwt", "at+jwt"})


class JwtVerifier:
    """Verifies tokens of the configured issuers; `now` is seconds since the epoch."""

    def __init__(self, issuers: Iterable[tuple[Issuer, KeySource]], *, now: Callable[[], float]) -> None:
        pairs = list(issuers)
        self._issuers: Mapping[str, tuple[Issuer, KeySource]] = {
            issuer.issuer: (issuer, keys) for issuer, keys in pairs
        }
        if len(self._issuers) != len(pairs) or len({issuer.name for issuer, _ in pairs}) != len(pairs):
            raise ValueError("two issuers have the same name or the same issuer")
        self._now = now
        self._jws = PyJWS()
        # The key is the digest of the whole token: LiteLLM's cache took its first 20 characters, which are the same in
        # every RS256 token, and handed one caller's identity to the next (CVE-2026-35030). No failure is ever cached.
        self._cache: OrderedDict[bytes, tuple[float, float, Principal]] = OrderedDict()

    async def run(self) -> None:
        """Keep the issuers' keys fresh until cancelled; JWKS issuers verify nothing without it."""
        async with asyncio.TaskGroup() as tasks:
            for issuer, keys in self._issuers.values():
                tasks.create_task(keys.run(), name=f"jwks {issuer.name}")

    def cached(self, text: str) -> Principal | None:
        """The principal of a token verified in the last 30 s and not expired, else None."""
        digest = sha256(text.encode("ascii")).digest()
        since, until, principal = self._cache.get(digest, (0.0, 0.0, None))
        # `since` too: after a step back of the clock an entry must not live longer than it should.
        if principal is None or not since <= self._now() < until:
            self._cache.pop(digest, None)
            return None
        self._cache.move_to_end(digest)
        return principal

    async def verify(self, text: str) -> Principal:
        """The principal of token `text`; Refusal(INVALID_CREDENTIAL) for every fault, `detail` without the token."""
        try:
            principal = await self._verify(text)
        except BadTokenError as error:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail=f"jwt: {error}") from None
        except Exception as error:  # noqa: BLE001 - whatever a hostile token sets off in a library is the same refusal
            raise Refusal(Reason.INVALID_CREDENTIAL, detail=f"jwt: {type(error).__name__}") from None
        self._remember(text, principal)
        return principal

    async def _verify(self, text: str) -> Principal:
        token = decode(text)
        issuer_claim = token.claims.get("iss")
        known = self._issuers.get(issuer_claim) if isinstance(issuer_claim, str) else None
        if known is None:
            raise BadTokenError("unknown issuer")
        issuer, keys = known
        if token.alg not in issuer.algorithms:
            raise BadTokenError("algorithm not allowed")
        _check_type(token, issuer)
        _check_times(token.claims, issuer, self._now())  # before a fetch or a signature is spent on an old token
        key = await keys.key(token.kid, token.alg)
        if key is None:
            raise BadTokenError("no such key")
        try:
            self._jws.decode(token.text, key, algorithms=[token.alg])
        except PyJWTError:
            raise BadTokenError("wrong signature") from None
        _check_audience(token.claims, issuer)
        return principal_of(token.claims, issuer)

    def _remember(self, text: str, principal: Principal) -> None:
        now = self._now()
        until = min(now + CACHE_SECONDS, principal.expires_at or now)
        self._cache[sha256(text.encode("ascii")).digest()] = (now, until, principal)
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)


def principal_of(claims: Object, issuer: Issuer) -> Principal:
    """Verified claims as a Principal; BadTokenError if one that is configured has the wrong type."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_VALUE:
        raise BadTokenError("no sub")
    owner = _claim(claims, issuer.subject_claim)
    if not isinstance(owner, str) or not 0 < len(owner) <= _MAX_VALUE:
        raise BadTokenError("the subject claim is missing")
    name = _log_safe(owner)
    sent = _texts(claims, issuer.scopes_claim, split=True) or ()
    models = _texts(claims, issuer.models_claim)
    return Principal(
        id=f"{issuer.name}:{name}",  # never a bare name: an IdP's user must not become the owner of a key
        key_id=f"jwt:{issuer.name}:{name}",
        name=name,
        auth="jwt",
        groups=frozenset(_texts(claims, issuer.groups_claim) or ()),
        scopes=issuer.default_scopes | {issuer.scope_mapping[scope] for scope in sent if scope in issuer.scope_mapping},
        models=issuer.unclaimed_models if models is None else tuple(map(_glob, models)),
        networks=issuer.networks,
        listeners=issuer.listeners,
        expires_at=_time(claims, "exp"),
        quota=issuer.quota,
    )


def _check_type(token: Compact, issuer: Issuer) -> None:
    """RFC 8725 3.11: a token for something else (logout+jwt, secevent+jwt) is no credential.

    RFC 7515 4.1.9: compared without case, `application/` may be left out.
    """
    typ = None if token.typ is None else token.typ.lower().removeprefix("application/")
    if issuer.typ is not None:
        if typ != issuer.typ.lower().removeprefix("application/"):
            raise BadTokenError("wrong typ")
    elif typ is not None and typ not in _TYPES:
        raise BadTokenError("wrong typ")


def _check_times(claims: Object, issuer: Issuer, now: float) -> None:
    expires, issued, not_before = (_time(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or expires <= now:
        raise BadTokenError("expired, or without exp")
    if max(issued or 0.0, not_before or 0.0) > now + issuer.leeway:
        raise BadTokenError("not valid yet")
    # Without iat a lifetime can only be measured from now; with it, from there too.
    longest = issuer.max_lifetime
    if expires - now > longest + issuer.leeway or (issued is not None and expires - issued > longest):
        raise BadTokenError("lives too long")


def _check_audience(claims: Object, issuer: Issuer) -> None:
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(each, str) for each in meant) or not any(each in issuer.audience for each in meant):
        raise BadTokenError("meant for another audience")


def _time(claims: Object, name: str) -> float | None:
    """A NumericDate (RFC 7519 2); BadTokenError if it is something else."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise BadTokenError("a time that is none")
    return float(value)


def _claim(claims: Object, name: str) -> JSON:
    """The claim called `name`, or else the one at that dotted path (`https://x.y/groups` has dots of its own)."""
    if name in claims:
        return claims[name]
    value: JSON = claims
    for step in name.split("."):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def _texts(claims: Object, name: str | None, *, split: bool = False) -> tuple[str, ...] | None:
    """A claim that is a list of strings or a string (`split`: of words, RFC 6749 3.3); None if unset or absent.

    A malformed list is refused whole: a policy that denies a group must not be got round by a broken neighbour.
    """
    value = None if name is None else _claim(claims, name)
    if value is None:
        return None
    parts = (value.split() if split else [value]) if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > _MAX_LIST:
        raise BadTokenError("a claim that is no list of strings")
    texts = tuple(part for part in parts if isinstance(part, str) and len(part) <= _MAX_VALUE and part.isprintable())
    if len(texts) != len(parts):
        raise BadTokenError("a claim that is no list of strings")
    return texts


def _glob(text: str) -> str:
    try:
        return glob(text)
    except ValueError:
        raise BadTokenError("a model claim that is no pattern") from None


def _log_safe(subject: str) -> str:
    """Bounded ASCII for logs and metrics; `~` marks a digest, and cannot begin a subject that is shown as it is."""
    if _SAFE.fullmatch(subject):
        return subject
    return "~" + sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]
