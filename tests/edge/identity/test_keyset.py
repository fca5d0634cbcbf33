"""Key documents: only sound public signing keys, each for its own algorithms, and never a guess."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from edge.identity.keyset import BadKeySetError, KeySet, read_jwks, read_key_file
from tests.edge.identity.fixtures import ec_key, ed_key, jwk, jwks, public_pem, rsa_key


def test_keys_are_bound_to_their_algorithms() -> None:
    keys = read_jwks(jwks(jwk(rsa_key(), kid="r"), jwk(ec_key(), kid="e"), jwk(ed_key(), kid="d")))
    assert keys.select("r", "RS256") is not None
    assert keys.select("r", "PS512") is not None
    assert keys.select("e", "ES256") is not None
    assert keys.select("d", "EdDSA") is not None
    for kid, alg in (("r", "ES256"), ("e", "RS256"), ("e", "ES384"), ("d", "ES256"), ("r", "HS256"), ("x", "RS256")):
        assert keys.select(kid, alg) is None


def test_a_named_algorithm_narrows() -> None:
    keys = read_jwks(jwks(jwk(rsa_key(), kid="r", alg="RS256")))
    assert keys.select("r", "RS256") is not None
    assert keys.select("r", "RS512") is None


def test_without_kid_the_key_must_be_the_only_one_it_can_be() -> None:
    one = jwk(rsa_key(), kid="a")
    assert read_jwks(jwks(one, jwk(ec_key(), kid="e"))).select(None, "RS256") is not None
    assert read_jwks(jwks(one, jwk(rsa_key(number=1), kid="b"))).select(None, "RS256") is None
    assert read_jwks(jwks(one, jwk(rsa_key(number=1), kid="a"))).select("a", "RS256") is None


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": 1},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": 7},
        {"kid": 1},
        {"kid": "k" * 129},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC"},
        {"kty": None},
        {"n": "!!!"},
        {"n": ""},
        {"n": None},
        {"e": "AA"},
        {"e": "Ag"},
        {"e": "_" * 20},
    ],
)
def test_keys_that_cannot_be_used_are_left_out(members: dict[str, object]) -> None:
    with pytest.raises(BadKeySetError, match="no usable"):
        read_jwks(jwks(jwk(rsa_key(), **({"kid": "r"} | members))))


def test_short_keys_and_odd_curves_are_left_out() -> None:
    odd = jwk(ec.generate_private_key(ec.SECP256K1()), kid="k")
    with pytest.raises(BadKeySetError):
        read_jwks(jwks(jwk(rsa_key(1024), kid="short"), odd))


def test_a_bad_key_does_not_spoil_its_neighbour() -> None:
    keys = read_jwks(jwks({"kty": "oct"}, jwk(rsa_key(), kid="r")))
    assert keys.select("r", "RS256") is not None


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[1,null]}', b'{"keys":[],"keys":[]}']
)
def test_documents_without_a_key(data: bytes) -> None:
    with pytest.raises(BadKeySetError):
        read_jwks(data)


def test_a_document_with_very_many_keys_is_refused() -> None:
    with pytest.raises(BadKeySetError, match="too many"):
        read_jwks(json.dumps({"keys": [{}] * 129}).encode())


def test_a_pem_file_fits_any_kid_but_only_its_algorithms() -> None:
    keys = read_key_file(public_pem(rsa_key()))
    assert keys.select("anything", "RS256") is not None
    assert keys.select(None, "RS256") is not None
    assert keys.select(None, "ES256") is None


def test_a_jwks_document_may_stand_in_a_file() -> None:
    assert isinstance(read_key_file(b"\n" + jwks(jwk(rsa_key(), kid="r"))), KeySet)


def test_files_that_are_refused() -> None:
    private = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data, why in ((private, "private"), (public_pem(rsa_key(1024)), "unusable"), (b"hello", "neither")):
        with pytest.raises(BadKeySetError, match=why):
            read_key_file(data)


@given(st.binary(max_size=60), st.dictionaries(st.sampled_from(["kty", "n", "e", "x", "y", "crv", "kid"]), st.text()))
def test_any_bytes_are_keys_or_the_one_error(data: bytes, members: dict[str, str]) -> None:
    for document in (data, jwks(members)):
        try:
            read_key_file(document)
        except BadKeySetError:
            continue
