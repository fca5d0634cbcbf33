"""The bytes of a JWT: anything out of the ordinary is refused before any cryptography."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.identity.compact import BadTokenError, decode, parse_object
from tests.edge.identity.fixtures import b64, claims, sign

HEADER = {"alg": "RS256", "kid": "r1"}


def token(header: object, payload: object = None, signature: bytes = b"s") -> str:
    return ".".join(
        (b64(json.dumps(header).encode()), b64(json.dumps({} if payload is None else payload).encode()), b64(signature))
    )


def test_a_good_token_is_taken_apart() -> None:
    text = sign(claims(), headers={"typ": "at+jwt"})
    found = decode(text)
    assert (found.text, found.alg, found.kid, found.typ) == (text, "RS256", "r1", "at+jwt")
    assert found.claims == claims()
    assert text not in repr(found)


@pytest.mark.parametrize("name", ["crit", "jku", "x5u", "jwk", "x5c", "zip", "enc", "cty", "b64"])
def test_headers_that_choose_their_own_key_or_meaning(name: str) -> None:
    values: tuple[object, ...] = (None, "", [], {}, ["exp"], True)
    for value in values:
        with pytest.raises(BadTokenError, match="never accepted"):
            decode(token({**HEADER, name: value}))


def test_a_thumbprint_is_ignored() -> None:
    assert decode(token({**HEADER, "x5t": "abc", "x5t#S256": "abc"})).kid == "r1"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": None},
        {"alg": ["RS256"]},
        {**HEADER, "kid": ""},
        {**HEADER, "kid": 1},
        {**HEADER, "kid": "k" * 129},
        {**HEADER, "typ": 1},
        ["RS256"],
        "RS256",
    ],
)
def test_headers_of_the_wrong_type(header: object) -> None:
    with pytest.raises(BadTokenError):
        decode(token(header))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t + "=",
        lambda t: t.replace(".", "=.", 1),
        lambda t: t + ".",
        lambda t: t.rsplit(".", 1)[0],
        lambda t: t.rsplit(".", 1)[0] + ".",
        lambda t: t + ".a.b",
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: t.replace(".", ".\n", 1),
        lambda t: t.replace(".", "..", 1),
        lambda t: "a" * 8192 + t,
        lambda t: t + "é",
        lambda t: t + "+/",
    ],
)
def test_the_form_is_three_canonical_parts(change: object) -> None:
    assert callable(change)
    with pytest.raises(BadTokenError):
        decode(change(token(HEADER)))


def test_unused_bits_in_base64_are_refused() -> None:
    """The two Wycheproof vectors that PyJWT accepts: `cw` and `cx` decode to the same byte, but differ as text."""
    good = token(HEADER, signature=b"s")
    assert decode(good).alg == "RS256"
    assert good.endswith("cw")
    with pytest.raises(BadTokenError, match="canonical"):
        decode(good[:-1] + "x")


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1} {}',
        b"[]",
        b"1",
        b"null",
        b"",
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_json_that_two_readers_could_read_differently(text: bytes) -> None:
    with pytest.raises(BadTokenError, match="strict JSON"):
        parse_object(text)


@given(st.one_of(st.text(max_size=60), st.lists(st.binary(max_size=40).map(b64), max_size=5).map(".".join)))
@example("..")
@example("e30.e30.e30")
def test_any_text_is_a_token_or_a_bad_one(text: str) -> None:
    try:
        decode(text)
    except BadTokenError:
        return
