"""Signatures that a real OPA accepts, and what is no key."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import urlsafe_b64decode
from functools import lru_cache
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.bundle import canonical_json
from policies.signing import SCOPE, Signer, SigningKeyError, file_hash, read_signer

OPA = Path(sys.executable).parent / "opa"
FILES = {
    ".manifest": b'{"revision":"r","roots":["gwcfg"]}',
    "gateway/a.rego": b"package gateway\n",
    "gwcfg/data.json": b"{}",
}


@lru_cache
def pem(number: int, curve: ec.EllipticCurve | None = None) -> bytes:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def token(signatures: bytes) -> str:
    (text,) = json.loads(signatures)["signatures"]
    assert isinstance(text, str)
    return text


def test_a_jwt_library_reads_the_signature() -> None:
    signer = read_signer(pem(0))
    text = token(signer.signatures(FILES))
    claims = jwt.decode(text, signer.public_pem, ["ES256"])
    assert jwt.get_unverified_header(text) == {"alg": "ES256", "kid": signer.kid, "typ": "JWT"}
    assert claims["scope"] == SCOPE == "llm-gateway"
    assert [entry["name"] for entry in claims["files"]] == sorted(FILES)
    assert {entry["algorithm"] for entry in claims["files"]} == {"SHA-256"}


def test_equal_files_give_equal_bytes_in_any_order() -> None:
    signer = read_signer(pem(0))
    backwards = dict(reversed(FILES.items()))
    assert len({signer.signatures(FILES), signer.signatures(backwards), read_signer(pem(0)).signatures(FILES)}) == 1


def test_a_changed_byte_changes_the_signature() -> None:
    signer = read_signer(pem(0))
    assert token(signer.signatures(FILES)) != token(signer.signatures({**FILES, "gateway/a.rego": b"package gateway "}))


def test_the_key_id_follows_from_the_key() -> None:
    assert read_signer(pem(0)).kid == read_signer(pem(0)).kid != read_signer(pem(1)).kid


def test_the_private_key_is_not_shown() -> None:
    signer = read_signer(pem(0))
    assert "PRIVATE" not in repr(signer)
    assert "key=" not in repr(signer)
    assert b"PUBLIC KEY" in signer.public_pem
    assert b"PRIVATE" not in signer.public_pem


def other_keys() -> dict[str, bytes]:
    edwards = ed25519.Ed25519PrivateKey.generate()
    secret = ec.generate_private_key(ec.SECP256R1())
    return {
        "another curve": pem(0, ec.SECP384R1()),
        "another kind": edwards.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "encrypted": secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")),
        "public": read_signer(pem(0)).public_pem,
        "cut short": pem(0)[:100],
        "no PEM": b"secret-bytes",
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", list(other_keys()))
def test_what_is_no_p256_key_is_refused_without_being_quoted(kind: str) -> None:
    content = other_keys()[kind]
    with pytest.raises(SigningKeyError) as caught:
        read_signer(content)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_signer_of_another_curve_cannot_be_made() -> None:
    with pytest.raises(SigningKeyError):
        Signer(ec.generate_private_key(ec.SECP384R1()), "k")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=15, deadline=None)
@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_data_is_hashed_as_opa_hashes_it(tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]) -> None:
    """Invariant: for any JSON object, our hash is the one that `opa sign` puts into its claims."""
    folder = tmp_path_factory.mktemp("signed")
    data = {"x": "\u2028\u2029\b\f\n\x00\x7f<&>\u00e9\ufeff\U0001f600", "n": [1e16, 1e-7, -0.0, 2**70], **data}
    content = canonical_json(data)  # type: ignore[arg-type] # hypothesis has no word for JSON
    (folder / "data.json").write_bytes(content)
    (folder.parent / f"{folder.name}.pem").write_bytes(pem(0))
    command = [str(OPA), "sign", "--signing-key", f"../{folder.name}.pem", "--signing-alg", "ES256", "--bundle", "."]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=30)
    claims = token((folder / ".signatures.json").read_bytes()).split(".")[1]
    (entry,) = json.loads(urlsafe_b64decode(claims + "=="))["files"]
    assert file_hash("data.json", content) == entry["hash"]
