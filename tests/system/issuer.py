"""A token issuer of our own: an RSA key, the JWKS document that publishes it, and tokens right and wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from policies.json import JSON, Object

AUDIENCE = "llm-gateway-tests"
KID = "test-key-1"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _int(value: int) -> str:
    return _b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Signs tokens and serves its public key on a loopback port at `/jwks`; `fetched` counts how often it was asked."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.fetched = 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.fetched += 1
                body = json.dumps(issuer.jwks).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/jwk-set+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    @property
    def name(self) -> str:
        """The `iss` claim."""
        return "https://issuer.test"

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/jwks"

    @property
    def jwks(self) -> Object:
        numbers = self.key.public_key().public_numbers()
        entry: Object = {"kty": "RSA", "kid": KID, "use": "sig", "alg": "RS256"}
        return {"keys": [{**entry, "n": _int(numbers.n), "e": _int(numbers.e)}]}

    @property
    def public_pem(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def claims(self, **changes: JSON) -> Object:
        """Good claims; a change to None removes one."""
        now = int(time.time())
        good: Object = {"iss": self.name, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, **changes}
        return {name: value for name, value in good.items() if value is not None}

    def token(self, *, key: rsa.RSAPrivateKey | None = None, headers: Object | None = None, **changes: JSON) -> str:
        """A signed token: good unless `key`, `headers` or claims say otherwise."""
        return jwt.encode(
            dict(self.claims(**changes)), key or self.key, algorithm="RS256", headers={"kid": KID, **(headers or {})}
        )

    def forged(self, header: Object, signature: bytes = b"") -> str:
        """A token with any header at all and a signature of the test's choice."""
        head, body = (_b64(json.dumps(part).encode()) for part in (header, self.claims()))
        return f"{head}.{body}.{_b64(signature)}"

    def confused(self) -> str:
        """Algorithm confusion: HS256 with the public key's PEM as the secret."""
        header: Object = {"alg": "HS256", "typ": "JWT", "kid": KID}
        unsigned = self.forged(header).rsplit(".", 1)[0]
        return f"{unsigned}.{_b64(hmac.new(self.public_pem, unsigned.encode(), hashlib.sha256).digest())}"


def wrong_tokens(issuer: Issuer) -> dict[str, str]:
    """Each of them must be refused with the same 401 (facts/security.md 2.2)."""
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = issuer.token()
    head, body, signature = good.split(".")
    cases = {
        "alg none": issuer.forged({"alg": "none", "typ": "JWT"}),
        "alg None": issuer.forged({"alg": "None", "typ": "JWT", "kid": KID}),
        "algorithm confusion": issuer.confused(),
        "another key": issuer.token(key=stranger),
        "another key, unknown kid": issuer.token(key=stranger, headers={"kid": "other"}),
        "no kid and another key": issuer.token(key=stranger, headers={"kid": ""}),
        "key in the header": issuer.token(key=stranger, headers={"jwk": {"kty": "oct", "k": "AAAA"}}),
        "jku": issuer.token(headers={"jku": "http://127.0.0.1:1/jwks"}),
        "x5u": issuer.token(headers={"x5u": "http://127.0.0.1:1/x"}),
        "crit": issuer.token(headers={"crit": ["exp"]}),
        "expired": issuer.token(exp=now - 3600, iat=now - 7200),
        "no exp": issuer.token(exp=None),
        "exp as text": issuer.token(exp="soon"),
        "unsigned": issuer.forged({"alg": "RS256", "kid": KID}),
        "not yet valid": issuer.token(nbf=now + 3600),
        "issued in the future": issuer.token(iat=now + 3600, exp=now + 7200),
        "lives too long": issuer.token(exp=now + 400 * 86400),
        "wrong audience": issuer.token(aud="somebody-else"),
        "no audience": issuer.token(aud=None),
        "wrong issuer": issuer.token(iss="https://evil.test"),
        "no issuer": issuer.token(iss=None),
        "no subject": issuer.token(sub=None),
        "signature cut": f"{head}.{body}.{signature[:-8]}",
        "signature empty": f"{head}.{body}.",
        "signature of another token": f"{head}.{body}.{issuer.token(sub='bob').rsplit('.', 1)[1]}",
        "padded": good + "=",
        "four parts": good + ".x",
        "JWE": f"{head}..{body}.{signature}.x",
        "claims not JSON": f"{head}.{_b64(b'not json')}.{signature}",
        "header not JSON": f"{_b64(b'not json')}.{body}.{signature}",
    }
    last = signature[-1]
    other = chr(ord(last) + 1) if last not in "zZ9_-" else "A"
    return {**cases, "non-canonical base64": f"{head}.{body}.{signature[:-1]}{other}"}
