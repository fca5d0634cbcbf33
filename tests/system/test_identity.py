"""Who is calling: keys and JWTs side by side, and one constant answer to everything else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from policies.json import Object, as_list, as_str
from tests.system.calls import CHAT, assert_constant, chat
from tests.system.conftest import Launch
from tests.system.issuer import AUDIENCE, Issuer, wrong_tokens
from tests.system.process import Gateway, Key, configuration, until
from tests.system.recording_engine import RecordingEngine
from tests.system.wire import Answer, TruncatedError, loads

CANARY = "canary-b82e44d7"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as made:
        yield made


@pytest.fixture(scope="module")
def federated(
    issuer: Issuer, shared_engine: RecordingEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that trusts the issuer, by its key file."""
    folder = tmp_path_factory.mktemp("federated")
    (folder / "issuer.pem").write_bytes(issuer.public_pem)
    trusted: Object = {"name": "tests", "issuer": issuer.name, "audience": [AUDIENCE]}
    trusted["key_file"] = str(folder / "issuer.pem")
    lockout: Object = {"failures": 1_000_000, "verify_rate": 1000, "verify_burst": 1000}
    gateway = Gateway(folder, configuration(shared_engine.url, identity={"issuers": [trusted], "lockout": lockout}))
    try:
        yield gateway.start().ready()
    finally:
        gateway.kill()


def test_token_of_the_issuer_is_a_caller(federated: Gateway, engine: RecordingEngine, issuer: Issuer) -> None:
    for line in (f"Authorization: Bearer {issuer.token()}", f"x-api-key: {issuer.token()}"):
        answer = federated.post(CHAT, chat(), line)
        assert answer.status == 200, answer.raw
    assert issuer.token()[-20:].encode() not in engine.request().raw
    me = federated.get("/v1/me", f"Authorization: Bearer {issuer.token()}").json()
    assert "alice" in str(me)


def test_keys_work_beside_tokens(federated: Gateway, engine: RecordingEngine) -> None:
    assert federated.post(CHAT, chat(), federated.create_key("beside").bearer).status == 200


def test_wrong_tokens_all_get_the_same_answer(federated: Gateway, engine: RecordingEngine, issuer: Issuer) -> None:
    answers: dict[str, Answer] = {
        name: federated.get("/v1/me", f"Authorization: Bearer {token}") for name, token in wrong_tokens(issuer).items()
    }
    assert {name: answer.status for name, answer in answers.items() if answer.status != 401} == {}
    assert len({answer.body for answer in answers.values()}) == 1, "which check failed is nobody's business"
    assert engine.requests == []
    assert federated.get("/v1/me", f"Authorization: Bearer {issuer.token()}").status == 200


def test_keys_are_fetched_once_from_a_jwks_url(launch: Launch, engine: RecordingEngine, issuer: Issuer) -> None:
    trusted: Object = {"name": "tests", "issuer": issuer.name, "audience": [AUDIENCE], "jwks_url": issuer.jwks_url}
    gateway = launch(identity={"issuers": [trusted]})
    before = issuer.fetched
    for _ in range(5):
        assert gateway.get("/v1/me", f"Authorization: Bearer {issuer.token()}").status == 200
    unknown = issuer.token(headers={"kid": "unknown"})
    for _ in range(5):
        assert gateway.get("/v1/me", f"Authorization: Bearer {unknown}").status == 401
    assert issuer.fetched - before <= 2


def _variants(key: Key) -> dict[str, tuple[str, ...]]:
    flipped = key.secret[:-1] + ("A" if key.secret[-1] != "A" else "B")
    middle = len(key.secret) // 2
    other = key.secret[:middle] + ("A" if key.secret[middle] != "A" else "B") + key.secret[middle + 1 :]
    return {
        "none": (),
        "empty bearer": ("Authorization: Bearer ",),
        "only the scheme": ("Authorization: Bearer",),
        "another scheme": (f"Authorization: Basic {key.secret}",),
        "no scheme": (f"Authorization: {key.secret}",),
        "token scheme": (f"Authorization: Token {key.secret}",),
        "two words": (f"Authorization: Bearer {key.secret} x",),
        "comma": (f"Authorization: Bearer {key.secret}, Bearer {key.secret}",),
        "made up": (f"Authorization: Bearer lgw_{CANARY}",),
        "checksum wrong": (f"Authorization: Bearer {flipped}",),
        "secret wrong": (f"Authorization: Bearer {other}",),
        "key id alone": (f"Authorization: Bearer {key.id}",),
        "cut": (f"Authorization: Bearer {key.secret[:-4]}",),
        "longer": (f"Authorization: Bearer {key.secret}A",),
        "other case": (f"Authorization: Bearer {key.secret.swapcase()}",),
        "non-ASCII": ("Authorization: Bearer lgw_\xe9\xe8",),
        "4 KiB": ("Authorization: Bearer " + "a" * 4096,),
        "empty x-api-key": ("x-api-key:",),
        "wrong x-api-key": (f"x-api-key: {CANARY}",),
        "good and wrong": (key.bearer, f"x-api-key: {CANARY}"),
        "wrong and good": (f"Authorization: Bearer {CANARY}", f"x-api-key: {key.secret}"),
        "twice": (key.bearer, key.bearer),
        "cookie": (f"Cookie: key={key.secret}",),
        "proxy header": (f"Proxy-Authorization: Bearer {key.secret}",),
        "api-key header": (f"api-key: {key.secret}",),
        "forwarded user": ("X-Forwarded-User: admin", "Tailscale-User-Login: admin", "X-Remote-User: admin"),
    }


def test_wrong_credentials_are_refused_alike(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    for name, lines in _variants(key).items():
        answer = gateway.post(CHAT, chat(), *lines)
        assert answer.status in {400, 401}, (name, answer.raw)
        assert_constant(answer, CANARY, key.secret, key.id)
        if answer.status == 401:
            assert answer.error["code"] in {"missing_credential", "invalid_credential"}, name
    assert engine.requests == []


def test_credentials_in_the_url_do_not_count(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    for name in ("key", "api_key", "api-key", "access_token", "x-api-key"):
        assert gateway.post(f"{CHAT}?{name}={key.secret}", chat()).status == 401


def test_stranger_learns_nothing_of_routes(gateway: Gateway) -> None:
    """401 comes before 404, and always the same one."""
    answers = [gateway.get(path) for path in ("/v1/models", "/v1/no-such-route", "/engines/x", "/metrics")]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1


def test_who_am_i(gateway: Gateway, key: Key) -> None:
    me = gateway.get("/v1/me", key.bearer).json()
    assert key.id in str(me)
    assert "inference" in str(me)
    assert key.secret not in str(me)


def test_source_that_fails_too_often_is_locked_but_a_valid_key_works(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(identity={"lockout": {"failures": 10}})
    key = gateway.create_key("neighbour")
    statuses = [gateway.get("/v1/me", f"Authorization: Bearer lgw_{i}").status for i in range(12)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert statuses == sorted(statuses)
    locked = gateway.get("/v1/me", "Authorization: Bearer lgw_x")
    assert_constant(locked)
    assert int(locked.head.get("retry-after") or 0) >= 1
    assert gateway.get("/v1/me", key.bearer).status == 200


def test_key_without_the_scope_is_refused(gateway: Gateway, engine: RecordingEngine) -> None:
    reader = gateway.create_key("reader", "--scope", "models:read")
    answer = gateway.post(CHAT, chat(), reader.bearer)
    assert (answer.status, answer.error["code"]) == (403, "scope_missing")
    assert_constant(answer)
    assert gateway.get("/v1/models", reader.bearer).status == 200


def test_models_are_listed_per_key(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    narrow = gateway.create_key("narrow", "--model", "org/tiny-*")

    def listed(who: Key) -> list[str]:
        rows = as_list(gateway.get("/v1/models", who.bearer).json()["data"])
        return sorted(str(row["id"]).lower() for row in rows if isinstance(row, dict))

    assert listed(key) == ["org/private-model-q4", "org/tiny-model-q4"]
    assert listed(narrow) == ["org/tiny-model-q4"]
    assert gateway.get("/v1/models/org/tiny-model-q4", narrow.bearer).status == 200


def test_hidden_model_and_missing_model_look_the_same(gateway: Gateway, engine: RecordingEngine) -> None:
    narrow = gateway.create_key("blinkered", "--model", "org/tiny-*")
    for spelling in ("org/private-model-q4", "Org/Private-Model-Q4", "org/private-model-q4:latest"):
        hidden = gateway.post(CHAT, {**chat(), "model": spelling}, narrow.bearer)
        missing = gateway.post(CHAT, {**chat(), "model": "org/no-such-model"}, narrow.bearer)
        assert (hidden.status, hidden.body) == (403, missing.body)
    shown = [gateway.get(f"/v1/models/{name}", narrow.bearer) for name in ("org/private-model-q4", "org/none")]
    assert shown[0].status == shown[1].status
    assert shown[0].body == shown[1].body
    assert engine.requests == []


def test_key_that_expires_stops_working_by_itself(gateway: Gateway) -> None:
    brief = gateway.create_key("brief", "--expires", "6s")
    until(lambda: gateway.get("/v1/me", brief.bearer).status == 401, 9.0, "the key expires")


def test_key_bound_to_a_network_is_refused_elsewhere(gateway: Gateway) -> None:
    bound = gateway.create_key("bound", "--network", "10.0.0.0/8")
    assert gateway.get("/v1/models", bound.bearer, "X-Forwarded-For: 10.0.0.1").status == 403


def test_listener_bound_to_networks_refuses_others_whoever_they_are(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listeners=[{"name": "local", "bind": "127.0.0.1:0", "networks": ["10.0.0.0/8"]}])
    key = Key("", as_str(loads(gateway.run("keys", "create", "caller", "--json").out)["key"]))
    for lines in ((key.bearer,), (), ("X-Forwarded-For: 10.0.0.1",)):
        with pytest.raises((ConnectionError, TruncatedError)):
            gateway.post(CHAT, chat(), *lines)
    assert engine.requests == []
    assert gateway.stop() == 0
    assert '"event":"access"' not in gateway.err.text
