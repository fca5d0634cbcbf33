"""ES256 signatures of OPA bundles: a JWT over the hash of every file in it. Pure; the key's file is the rim's business.

An OPA that holds the public key loads nothing that this key did not sign, whoever stands between (facts A1). ES256 and
not HS256: whoever may check must not be able to sign. The JWT is written here and not by a JWT library since its bytes
must be the same each time, and there are only two fields in it.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from policies.bundle import canonical_json
from policies.json import JSON, Object

SCOPE: Final = "llm-gateway"
"""What the signature is for, so that nothing else that this key might ever sign passes for a policy."""
_HALF: Final = 32  # RFC 7518 3.4: R and S of P-256 are 32 octets each
_KID_DIGITS: Final = 16


class SigningKeyError(ValueError):
    """The text is no key to sign with; says what it should be."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with a private key on P-256. `kid` names the key in every signature; see `key_id`."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    kid: str
    scope: str = SCOPE

    def __post_init__(self) -> None:
        if not isinstance(self.key.curve, ec.SECP256R1):
            raise SigningKeyError("ES256 needs a key on the curve P-256")

    @property
    def public_pem(self) -> bytes:
        """What an OPA has to be given: SubjectPublicKeyInfo, PEM."""
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def signatures(self, files: Mapping[str, bytes]) -> bytes:
        """The content of `.signatures.json` for `files` (name without a leading slash -> content).

        The same files give the same bytes: RFC 6979 takes ECDSA's nonce from the message, and there is no `iat`.
        """
        hashes: list[JSON] = [
            {"name": name, "hash": file_hash(name, content), "algorithm": "SHA-256"}
            for name, content in sorted(files.items())
        ]
        claims: Object = {"files": hashes, "scope": self.scope}
        message = f"{_part({'alg': 'ES256', 'kid': self.kid, 'typ': 'JWT'})}.{_part(claims)}"
        der = self.key.sign(message.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
        signature = b"".join(number.to_bytes(_HALF, "big") for number in decode_dss_signature(der))
        return canonical_json({"signatures": [f"{message}.{_base64(signature)}"]})


def read_signer(pem: bytes, scope: str = SCOPE) -> Signer:
    """The signer whose private key is `pem` (PKCS#8 or SEC1, unencrypted). Raises SigningKeyError."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningKeyError("not an unencrypted private key in PEM") from None  # their texts may quote the key
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SigningKeyError("ES256 needs a key on the curve P-256")
    return Signer(key, key_id(key.public_key()), scope)


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """A name that follows from the key, so that two keys never share one: hex digits of the SHA-256 of its SPKI."""
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:_KID_DIGITS]


def file_hash(name: str, content: bytes) -> str:
    """What OPA compares: SHA-256 of a .rego file's bytes, and of a JSON file as OPA would write it again."""
    if name.endswith(".rego"):
        return sha256(content).hexdigest()
    return sha256(_as_go_writes(canonical_json(json.loads(content)))).hexdigest()


def _as_go_writes(canonical: bytes) -> bytes:
    """Go's encoder escapes U+2028 and U+2029 always, for the sake of JavaScript; all else it writes as we do."""
    text = canonical.decode()
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()


def _part(document: Object) -> str:
    return _base64(canonical_json(document))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
