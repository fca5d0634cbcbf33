"""The bytes of a JWT: strict decoding and the header's rules, before any cryptography. Pure.

Libraries are laxer than the RFCs: of 401 Wycheproof vectors PyJWT accepts two that it must not, both with base64 that
is not canonical (facts/security.md 2.2); the re-encoding check below closes them. PyJWT before 2.12 ignored `crit`
(CVE-2026-32597). So every rule stands here, and the library is asked for nothing but the signature.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

from policies.json import JSON, Object

MAX_TOKEN: Final = 8192
MAX_KID: Final = 128
_SHAPE: Final = re.compile(r"[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+", re.ASCII)
# Each lets the token choose its own key or meaning (RFC 8725 3.10, RFC 7515 4.1). `cty` marks a nested JWT, `b64` and
# `zip` change what is signed, `enc` is a JWE's. Thumbprints (x5t), which Entra ID sends, choose nothing here.
_FORBIDDEN: Final = frozenset({"crit", "jku", "x5u", "jwk", "x5c", "zip", "enc", "cty", "b64"})


class BadTokenError(Exception):
    """A token that is not accepted; the text is a constant of ours, for the log."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A token whose form is right. Nothing in it is verified yet."""

    text: str = field(repr=False)
    alg: str
    kid: str | None
    typ: str | None
    claims: Object = field(repr=False)


def looks_like_jwt(text: str) -> bool:
    """Three base64url parts, at most 8 KiB. A JWE has five, an unsecured JWT an empty third."""
    return len(text) <= MAX_TOKEN and _SHAPE.fullmatch(text) is not None


def decode(text: str) -> Compact:
    """Take `text` apart; BadTokenError for anything out of the ordinary."""
    if not looks_like_jwt(text):
        raise BadTokenError("not three base64url parts of at most 8 KiB")
    head, body, signature = text.split(".")
    _bytes(signature)
    header, claims = parse_object(_bytes(head)), parse_object(_bytes(body))
    if not _FORBIDDEN.isdisjoint(header):
        raise BadTokenError("a header parameter that is never accepted")
    alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(alg, str):
        raise BadTokenError("no alg")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID):
        raise BadTokenError("kid is not a short string")
    if typ is not None and not isinstance(typ, str):
        raise BadTokenError("typ is not a string")
    return Compact(text, alg, kid, typ, claims)


def parse_object(data: bytes) -> Object:
    """`data` as one strict JSON object: UTF-8, no duplicate members, no NaN; BadTokenError otherwise."""
    try:
        # str, not bytes: json.loads guesses UTF-16 and UTF-32 from bytes, which RFC 7519 7.2 does not allow.
        document: JSON = json.loads(
            data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise BadTokenError("not one strict JSON object") from None
    if not isinstance(document, dict):
        raise BadTokenError("not one strict JSON object")
    return document


def _bytes(part: str) -> bytes:
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise BadTokenError("not base64url") from None
    if urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != part:
        raise BadTokenError("base64url that is not canonical")
    return data


def _without_duplicates(pairs: list[tuple[str, JSON]]) -> Object:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(_name: str) -> JSON:
    raise ValueError("NaN and Infinity are not JSON")
