"""What several tests of identity need: a store with a clock that stands still, and a key set that signs tokens."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from edge.identity.issuer import Issuer
from edge.identity.pepper import Peppers, of
from edge.identity.store.store import KeyStore
from edge.store.database import Database

NOW = 1_800_000_000.0
PEPPERS: Peppers = of(b"p" * 32)
ISSUER = Issuer(
    name="corp",
    issuer="https://idp.example",
    audience=("llm-gateway",),
    jwks_url="https://idp.example/jwks.json",
    algorithms=frozenset({"RS256", "ES256", "EdDSA"}),
)


@dataclass
class Clock:
    """A clock that only tests move."""

    at: float = NOW

    def __call__(self) -> float:
        return self.at


def open_store(folder: Path, clock: Clock | None = None) -> KeyStore:
    return KeyStore(Database(f"sqlite:///{folder / 'gateway.db'}"), PEPPERS, now=clock or Clock())


@lru_cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@lru_cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: object, **members: object) -> dict[str, object]:
    """The public JWK of a private `key`, with `members` added."""
    match key:
        case rsa.RSAPrivateKey():
            document = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ec.EllipticCurvePrivateKey():
            document = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case ed25519.Ed25519PrivateKey():
            document = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        case _:
            raise TypeError(key)
    document.pop("key_ops", None)
    return {**document, **members}


def jwks(*keys: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def claims(**changes: object) -> dict[str, object]:
    """Good claims with `changes`; None takes a claim out."""
    good: dict[str, object] = {
        "iss": ISSUER.issuer,
        "aud": "llm-gateway",
        "sub": "alice",
        "iat": int(NOW) - 10,
        "exp": int(NOW) + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(
    payload: Mapping[str, object],
    *,
    alg: str = "RS256",
    key: object = None,
    headers: Mapping[str, object] | None = None,
) -> str:
    """A token by PyJWT, `kid` "r1" unless `headers` says otherwise."""
    return jwt.encode(dict(payload), key or rsa_key(), alg, headers={"kid": "r1", **(headers or {})})  # type: ignore[arg-type]


def raw(header: bytes, payload: bytes, key: rsa.RSAPrivateKey | None = None) -> str:
    """A properly signed RS256 token round any bytes, well-formed or not."""
    signed = f"{b64(header)}.{b64(payload)}"
    signature = jwt.get_algorithm_by_name("RS256").sign(signed.encode(), key or rsa_key())
    return f"{signed}.{b64(signature)}"


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
