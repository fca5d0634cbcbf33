"""JWTs: a battery of attacks that all end in one constant refusal, and claims that become a Principal."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import replace
from ipaddress import ip_network

import pytest

from edge.identity import jwt as module
from edge.identity.issuer import Issuer
from edge.identity.jwks import FixedKeys
from edge.identity.jwt import JwtVerifier
from edge.identity.keyset import PublicKey, read_jwks, read_key_file
from policies.errors import Refusal
from policies.principal import DEFAULT_SCOPES, Quota, Scope
from policies.reasons import Reason
from tests.edge.identity.fixtures import (
    ISSUER,
    NOW,
    Clock,
    b64,
    claims,
    ec_key,
    ed_key,
    jwk,
    jwks,
    public_pem,
    raw,
    rsa_key,
    sign,
)

KEYS = FixedKeys(read_jwks(jwks(jwk(rsa_key(), kid="r1"), jwk(ec_key(), kid="e1"), jwk(ed_key(), kid="d1"))))
OTHER = rsa_key(number=1)


def verifier(issuer: Issuer = ISSUER, clock: Clock | None = None) -> JwtVerifier:
    return JwtVerifier([(issuer, KEYS)], now=clock or Clock())


# By name: the keys, and so the texts, differ between the processes of a parallel run.
GOOD_TOKENS: dict[str, str] = {
    "plain": sign(claims()),
    "access token": sign(claims(), headers={"typ": "at+jwt"}),
    "typ spelled out": sign(claims(), headers={"typ": "application/AT+JWT"}),
    "no typ": sign(claims(), headers={"typ": None}),
    "ES256": sign(claims(), alg="ES256", key=ec_key(), headers={"kid": "e1"}),
    "EdDSA": sign(claims(), alg="EdDSA", key=ed_key(), headers={"kid": "d1"}),
    "several audiences": sign(claims(aud=["other", "llm-gateway"])),
    "clock a minute off": sign(claims(iat=NOW + 60, nbf=NOW + 60)),
    "no iat": sign(claims(iat=None)),
    "a whole day": sign(claims(exp=NOW + 86_400 - 10)),
}


@pytest.mark.parametrize("name", GOOD_TOKENS)
async def test_good_tokens(name: str) -> None:
    principal = await verifier().verify(GOOD_TOKENS[name])
    assert (principal.id, principal.key_id, principal.name) == ("corp:alice", "jwt:corp:alice", "alice")
    assert principal.auth == "jwt"
    assert principal.scopes == DEFAULT_SCOPES


def none_algorithm(alg: str, signature: str = "") -> str:
    head = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return f"{head}.{b64(json.dumps(claims()).encode())}.{signature}"


def hs256_with_the_public_key() -> str:
    head = b64(json.dumps({"alg": "HS256", "kid": "r1"}).encode())
    signed = f"{head}.{b64(json.dumps(claims()).encode())}"
    return f"{signed}.{b64(hmac.digest(public_pem(rsa_key()), signed.encode(), hashlib.sha256))}"


def header(**members: object) -> bytes:
    return json.dumps({"alg": "RS256", "kid": "r1", **members}).encode()


PAYLOAD = json.dumps(claims()).encode()
GOOD = sign(claims())
HEAD, BODY, SIGNATURE = GOOD.split(".")
CHANGED_BODY = b64(json.dumps(claims(sub="mallory")).encode())

ATTACKS: dict[str, str] = {
    "alg none": none_algorithm("none"),
    "alg none with a signature": none_algorithm("none", SIGNATURE),
    "alg None": none_algorithm("None", SIGNATURE),
    "alg empty": none_algorithm("", SIGNATURE),
    "HS256 with the RSA public key": hs256_with_the_public_key(),
    "an algorithm the issuer does not use": sign(claims(), alg="RS512"),
    "RS256 with an EC key's kid": sign(claims(), headers={"kid": "e1"}),
    "signed by somebody else": sign(claims(), key=OTHER),
    "forged kid": sign(claims(), key=OTHER, headers={"kid": "../../etc/passwd"}),
    "kid with SQL": sign(claims(), headers={"kid": "x' UNION SELECT 'k"}),
    "unknown kid": sign(claims(), headers={"kid": "r9"}),
    "huge kid": sign(claims(), headers={"kid": "r" * 129}),
    "own key in jwk": sign(claims(), key=OTHER, headers={"jwk": jwk(OTHER)}),
    "own key by jku": sign(claims(), key=OTHER, headers={"jku": "https://evil.example/jwks.json"}),
    "own key by x5u": sign(claims(), headers={"x5u": "https://evil.example/c.pem"}),
    "own key by x5c": sign(claims(), headers={"x5c": ["MII="]}),
    "crit": raw(header(crit=["exp"]), PAYLOAD),
    "unknown crit": raw(header(crit=["x"], x=1), PAYLOAD),
    "b64": raw(header(b64=False, crit=["b64"]), PAYLOAD),
    "zip": raw(header(zip="DEF"), PAYLOAD),
    "nested": raw(header(cty="JWT"), GOOD.encode()),
    "JWE": f"{b64(header(alg='RSA-OAEP', enc='A256GCM'))}.a.b.c.d",
    "JWE of three parts": raw(header(enc="A256GCM"), PAYLOAD),
    "wrong typ": sign(claims(), headers={"typ": "logout+jwt"}),
    "changed claims": f"{HEAD}.{CHANGED_BODY}.{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    "two parts": f"{HEAD}.{BODY}",
    "empty": "..",
    "padding": GOOD + "=",
    "oversized": sign(claims(filler="x" * 8192)),
    "duplicate header member": raw(b'{"alg":"none","alg":"RS256","kid":"r1"}', PAYLOAD),
    "duplicate claim": raw(header(), PAYLOAD[:-1] + b',"sub":"mallory"}'),
    "duplicate nested claim": raw(header(), PAYLOAD[:-1] + b',"x":{"a":1,"a":2}}'),
    "claims that are no object": raw(header(), b"[]"),
    "claims in UTF-16": raw(header(), PAYLOAD.decode().encode("utf-16")),
    "NaN exp": raw(header(), PAYLOAD.replace(b'"exp": ' + str(int(NOW) + 600).encode(), b'"exp": NaN')),
    "header that is no object": raw(b'"RS256"', PAYLOAD),
    "wrong issuer": sign(claims(iss="https://idp.example/")),
    "issuer in another case": sign(claims(iss="https://IDP.example")),
    "issuer that is a list": sign(claims(iss=None) | {"other": 1}),
    "no issuer": sign(claims(iss=None)),
    "wrong audience": sign(claims(aud="other")),
    "audience that contains ours": sign(claims(aud="llm-gateway-admin")),
    "no audience": sign(claims(aud=None)),
    "empty audience": sign(claims(aud=[])),
    "audience of numbers": raw(header(), json.dumps(claims(aud=["llm-gateway", 1])).encode()),
    "expired": sign(claims(exp=NOW)),
    "no exp": sign(claims(exp=None)),
    "exp as text": raw(header(), json.dumps(claims(exp=str(int(NOW) + 600))).encode()),
    "exp true": raw(header(), json.dumps(claims(exp=True)).encode()),
    "exp null": raw(header(), PAYLOAD.replace(str(int(NOW) + 600).encode(), b"null")),
    "exp beyond all time": sign(claims(exp=2**62)),
    "negative iat": sign(claims(iat=-1)),
    "not yet valid": sign(claims(nbf=NOW + 61)),
    "issued in the future": sign(claims(iat=NOW + 61)),
    "lives too long": sign(claims(iat=NOW - 1, exp=NOW + 86_400)),
    "lives too long, without iat": sign(claims(iat=None, exp=NOW + 86_400 + 61)),
    "no subject": sign(claims(sub=None)),
    "empty subject": sign(claims(sub="")),
    "subject that is a number": raw(header(), json.dumps(claims(sub=7)).encode()),
    "endless subject": sign(claims(sub="x" * 257)),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_every_attack_ends_in_the_one_refusal(name: str) -> None:
    text = ATTACKS[name]
    subject = verifier()
    with pytest.raises(Refusal) as caught:
        await subject.verify(text)
    refusal = caught.value
    assert (refusal.reason, refusal.param, refusal.hint, refusal.retry_after) == (
        Reason.INVALID_CREDENTIAL,
        None,
        None,
        None,
    )
    assert refusal.text == "The credential is not valid."
    assert refusal.detail.startswith("jwt: ")
    assert not any(len(part) > 8 and part in refusal.detail for part in text.split("."))
    assert subject.cached(text) is None, "no failure is ever cached"


async def test_canonical_base64_is_demanded_of_a_good_signature() -> None:
    """RS256 signatures have 256 bytes: the last character carries four unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = GOOD[:-1] + alphabet[alphabet.index(GOOD[-1]) + 1]
    with pytest.raises(Refusal):
        await verifier().verify(twin)


async def test_a_pem_key_of_ours_does_not_become_a_shared_secret() -> None:
    keys = FixedKeys(read_key_file(public_pem(rsa_key())))
    subject = JwtVerifier([(ISSUER, keys)], now=Clock())
    assert (await subject.verify(GOOD)).name == "alice"
    with pytest.raises(Refusal):
        await subject.verify(hs256_with_the_public_key())


async def test_a_typ_that_is_configured_is_required() -> None:
    subject = verifier(replace(ISSUER, typ="at+jwt"))
    assert (await subject.verify(sign(claims(), headers={"typ": "AT+jwt"}))).name == "alice"
    for headers in ({"typ": "JWT"}, {"typ": None}):
        with pytest.raises(Refusal):
            await subject.verify(sign(claims(), headers=headers))


async def test_each_issuer_has_its_own_keys() -> None:
    second = replace(ISSUER, name="second", issuer="https://second.example")
    theirs = FixedKeys(read_jwks(jwks(jwk(OTHER, kid="r1"))))
    subject = JwtVerifier([(ISSUER, KEYS), (second, theirs)], now=Clock())
    assert (await subject.verify(sign(claims(iss=second.issuer), key=OTHER))).id == "second:alice"
    for text in (sign(claims(), key=OTHER), sign(claims(iss=second.issuer))):
        with pytest.raises(Refusal):
            await subject.verify(text)


def test_two_issuers_may_not_share_a_name_or_an_iss() -> None:
    for twin in (ISSUER, replace(ISSUER, issuer="https://b"), replace(ISSUER, name="b")):
        with pytest.raises(ValueError, match="two issuers"):
            JwtVerifier([(ISSUER, KEYS), (twin, KEYS)], now=Clock())


async def test_a_fault_in_the_key_source_is_the_same_refusal() -> None:
    class Faulty:
        async def key(self, kid: str | None, alg: str) -> PublicKey | None:
            raise ZeroDivisionError(kid, alg)

        async def run(self) -> None: ...

    with pytest.raises(Refusal, match="invalid_credential"):
        await JwtVerifier([(ISSUER, Faulty())], now=Clock()).verify(GOOD)


# --- the cache ---


async def test_a_verified_token_is_remembered_for_thirty_seconds() -> None:
    clock = Clock()
    subject = verifier(clock=clock)
    assert subject.cached(GOOD) is None
    principal = await subject.verify(GOOD)
    clock.at += 29.9
    assert subject.cached(GOOD) is principal
    assert subject.cached(sign(claims(jti="2"))) is None, "its neighbour is another token"
    clock.at += 0.1
    assert subject.cached(GOOD) is None


async def test_the_cache_never_outlives_the_token_or_a_clock_set_back() -> None:
    clock = Clock()
    subject = verifier(clock=clock)
    text = sign(claims(exp=NOW + 5))
    await subject.verify(text)
    clock.at = NOW - 1
    assert subject.cached(text) is None
    clock.at = NOW
    await subject.verify(text)
    clock.at = NOW + 5
    assert subject.cached(text) is None


async def test_the_cache_is_bounded_and_forgets_the_least_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_ENTRIES", 2)
    subject = verifier()
    texts = [sign(claims(jti=str(number))) for number in range(3)]
    for text in texts[:2]:
        await subject.verify(text)
    assert subject.cached(texts[0])
    await subject.verify(texts[2])
    assert [subject.cached(text) is not None for text in texts] == [True, False, True]


# --- claims ---


async def test_configured_claims_become_the_principal() -> None:
    issuer = replace(
        ISSUER,
        subject_claim="email",
        groups_claim="realm_access.roles",
        scopes_claim="scp",
        scope_mapping={"llm.use": Scope.INFERENCE, "llm.list": Scope.MODELS_READ},
        default_scopes=frozenset(),
        models_claim="https://corp.example/models",
        networks=(ip_network("10.0.0.0/8"),),
        listeners=frozenset({"lan"}),
        quota=Quota(rpm=9),
    )
    token = claims(
        email="a@corp.example",
        realm_access={"roles": ["dev", "ops"]},
        scp="llm.use admin",
        **{"https://corp.example/models": ["ai/*"]},
    )
    principal = await verifier(issuer).verify(sign(token))
    assert principal.id == "corp:a@corp.example"
    assert principal.groups == {"dev", "ops"}
    assert principal.scopes == {Scope.INFERENCE}, "an unmapped scope counts for nothing, whatever it is called"
    assert principal.models == ("ai/*",)
    assert principal.networks == issuer.networks
    assert principal.listeners == {"lan"}
    assert principal.quota == Quota(rpm=9)
    assert principal.expires_at == NOW + 600


async def test_absent_claims_fall_back_to_the_settings() -> None:
    issuer = replace(ISSUER, groups_claim="groups", models_claim="models", models=("small*",), scopes_claim="scope")
    principal = await verifier(issuer).verify(GOOD)
    assert (principal.groups, principal.models, principal.scopes) == (frozenset(), ("small*",), DEFAULT_SCOPES)
    assert (await verifier(issuer).verify(sign(claims(models=[])))).models == ()
    assert (await verifier(issuer).verify(sign(claims(groups="one")))).groups == {"one"}


@pytest.mark.parametrize(
    ("written", "without_claim", "where_it_is_missing"),
    [(None, ("*",), ()), (("small*",), ("small*",), ("small*",)), (("*",), ("*",), ("*",)), ((), (), ())],
)
async def test_a_typo_in_the_path_of_the_models_claim_opens_no_model(
    written: tuple[str, ...] | None, without_claim: tuple[str, ...], where_it_is_missing: tuple[str, ...]
) -> None:
    plain = replace(ISSUER, models=written)
    assert (await verifier(plain).verify(GOOD)).models == without_claim
    body = json.dumps(claims(app={"models": ["small"]}, nothing=0) | {"nothing": None}).encode()
    for path in ("app.model", "ap.models", "models", "app.models.0", "nothing", ""):
        principal = await verifier(replace(plain, models_claim=path)).verify(raw(header(), body))
        assert principal.models == where_it_is_missing, path
    assert (await verifier(replace(plain, models_claim="app.models")).verify(raw(header(), body))).models == ("small",)


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": 7},
        {"groups": {"a": 1}},
        {"groups": ["a", 1]},
        {"groups": ["a\n"]},
        {"groups": ["x" * 257]},
        {"groups": ["a"] * 257},
        {"scope": True},
        {"models": ["a b"]},
        {"models": [None]},
        {"models": [["a"]]},
        {"models": {"a": 1}},
        {"models": 0},
        {"models": False},
        {"models": ""},
    ],
)
async def test_a_claim_of_the_wrong_type_refuses_the_token(changes: dict[str, object]) -> None:
    issuer = replace(ISSUER, groups_claim="groups", models_claim="models", scopes_claim="scope")
    with pytest.raises(Refusal):
        await verifier(issuer).verify(sign(claims(**changes)))


@pytest.mark.parametrize("subject", ["a\nb", "ä", "x" * 65, "\x1b[31m", "a b", "~" + "0" * 32, "\ud800"])
async def test_a_subject_that_could_disturb_a_log_becomes_a_digest(subject: str) -> None:
    principal = await verifier().verify(raw(header(), json.dumps(claims(sub=subject)).encode()))
    assert principal.name.startswith("~")
    assert principal.name != subject
    assert len(principal.name) == 33
    assert principal.key_id == f"jwt:corp:{principal.name}"


async def test_keeping_keys_fresh_ends_when_told_to() -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(verifier().run())
        await asyncio.wait({running}, timeout=1)
        running.cancel()
