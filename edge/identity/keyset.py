"""JWKS and PEM documents -> public keys, each bound to the algorithms it may verify. Pure.

Binding comes first: choosing the algorithm by what the token says and the key by what the token says separately is how
algorithm confusion works (RFC 8725 3.1; PyJWT's CVE-2026-48523).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from edge.identity.compact import MAX_KID, BadTokenError, parse_object
from policies.json import JSON, Object, as_list, as_object, as_str

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192  # verifying costs grow with the square; nobody signs with more
_MAX_EXPONENT: Final = 2**32
_MAX_KEYS: Final = 128
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# What of a JWK is handed to the library: public members only, whatever else stands in it.
_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


class BadKeySetError(Exception):
    """A document without a usable key; the text is a constant of ours."""


@dataclass(frozen=True, slots=True)
class BoundKey:
    """A public key with its id (None in a PEM file) and the algorithms it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    key: PublicKey


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of one document."""

    keys: tuple[BoundKey, ...]

    def select(self, kid: str | None, alg: str) -> PublicKey | None:
        """The one key for (`kid`, `alg`). None if there is none, or more than one: nothing is tried out.

        A token without `kid` fits where only one key can be meant; a key without one (PEM) fits any `kid`.
        """
        fitting = [
            bound for bound in self.keys if alg in bound.algorithms and (kid is None or bound.kid in (None, kid))
        ]
        return fitting[0].key if len(fitting) == 1 else None


def read_key_file(data: bytes) -> KeySet:
    """A PEM public key, a PEM certificate or a JWKS document; BadKeySetError if it is neither."""
    if data.lstrip().startswith(b"{"):
        return read_jwks(data)
    if b"PRIVATE KEY" in data:
        raise BadKeySetError("this is a private key; the gateway wants the public one only")
    certificate = b"BEGIN CERTIFICATE" in data
    try:
        key: object = load_pem_x509_certificate(data).public_key() if certificate else load_pem_public_key(data)
    except ValueError:
        raise BadKeySetError("neither a PEM public key, a PEM certificate nor a JWKS document") from None
    algorithms = _algorithms(key)
    if not algorithms or not isinstance(key, PublicKey):
        raise BadKeySetError("unusable key: want RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519")
    return KeySet((BoundKey(None, algorithms, key),))


def read_jwks(data: bytes) -> KeySet:
    """A JWKS document (RFC 7517). Keys that cannot be used are left out; BadKeySetError if none is left."""
    try:
        entries = as_list(parse_object(data).get("keys"))
    except BadTokenError:
        raise BadKeySetError("not a JWKS document") from None
    if len(entries) > _MAX_KEYS:
        raise BadKeySetError("too many keys")
    keys = tuple(bound for entry in entries if (bound := _bind(as_object(entry))) is not None)
    if not keys:
        raise BadKeySetError("no usable signing key")
    return KeySet(keys)


def _bind(jwk: Object) -> BoundKey | None:
    kid, named = jwk.get("kid"), jwk.get("alg")
    if not _signs(jwk) or not (kid is None or (isinstance(kid, str) and len(kid) <= MAX_KID)):
        return None
    try:
        key = _load(jwk)
    except (PyJWTError, ValueError, TypeError, OverflowError):
        return None
    algorithms = _algorithms(key)
    if named is not None:
        algorithms &= {as_str(named)}
    return BoundKey(kid, algorithms, key) if algorithms and isinstance(key, PublicKey) else None


def _signs(jwk: Object) -> bool:
    """RFC 7517 4.2, 4.3: a key meant for encryption must not verify signatures."""
    operations: JSON = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and "verify" in as_list(operations)


def _load(jwk: Object) -> object:
    kty = as_str(jwk.get("kty"))
    members = {name: as_str(jwk.get(name)) for name in _MEMBERS.get(kty, ())}
    if kty == "RSA":
        return RSAAlgorithm.from_jwk(members)
    if kty == "EC":
        return ECAlgorithm.from_jwk(members)
    if kty == "OKP":
        return OKPAlgorithm.from_jwk(members)
    raise ValueError("unknown kty")


def _algorithms(key: object) -> frozenset[str]:
    """What `key` may verify: the algorithm follows from the key's type, curve and size; empty = unusable."""
    if isinstance(key, RSAPublicKey):
        sound = MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS and key.public_numbers().e < _MAX_EXPONENT
        return _RSA if sound else frozenset()
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return frozenset({_CURVES[key.curve.name]})
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return frozenset({"EdDSA"})
    return frozenset()
