"""Records: status over time, the principal of a secret, and the JSON that scripts read."""

from __future__ import annotations

import json
from ipaddress import ip_network

from edge.identity.grant import Grant
from edge.identity.record import KeyRecord, Secret, Status, document, stamp
from policies.principal import Quota, Scope
from tests.edge.identity.fixtures import NOW


def record(**changes: object) -> KeyRecord:
    parts: dict[str, object] = {"id": "0123456789", "grant": Grant("ci"), "created_at": NOW}
    return KeyRecord(**(parts | changes))  # type: ignore[arg-type]


def test_status_is_judged_at_an_instant_and_revoked_wins() -> None:
    grant = Grant("ci", expires_at=NOW + 10)
    assert record(grant=grant).status(NOW + 9.99) is Status.ACTIVE
    assert record(grant=grant).status(NOW + 10) is Status.EXPIRED
    assert record(grant=grant, revoked_at=NOW).status(NOW + 20) is Status.REVOKED


def test_a_secret_is_live_from_its_first_instant_to_before_its_last() -> None:
    secret = Secret(b"", 1, NOW, NOW + 10)
    assert [secret.live(NOW + at) for at in (-0.1, 0, 9.9, 10)] == [False, True, True, False]
    assert Secret(b"", 1, NOW, None).live(NOW + 1e9)


def test_the_principal_ends_with_the_key_and_not_with_a_secret() -> None:
    rotated = (Secret(b"", 1, NOW, NOW + 10), Secret(b"", 1, NOW, None))
    assert record(grant=Grant("ci", expires_at=NOW + 100), secrets=rotated).principal().expires_at == NOW + 100
    assert record(secrets=rotated).principal().expires_at is None


def test_the_principal_carries_the_grant_and_acts_for_the_owner() -> None:
    grant = Grant(
        "ci",
        owner="ann",
        groups=("g",),
        scopes=(Scope.ADMIN,),
        models=("ai/*",),
        networks=(ip_network("10.0.0.0/8"),),
        listeners=("lan",),
        quota=Quota(rpm=3),
    )
    principal = record(grant=grant).principal()
    assert (principal.id, principal.key_id, principal.name, principal.auth) == ("ann", "0123456789", "ci", "key")
    assert principal.groups == {"g"}
    assert principal.scopes == {Scope.ADMIN}
    assert (principal.models, principal.networks) == (grant.models, grant.networks)
    assert principal.listeners == {"lan"}
    assert principal.quota == Quota(rpm=3)
    assert record().principal().id == "ci"


def test_the_document_is_json_without_secrets() -> None:
    secrets = (Secret(b"\x01" * 32, 7, NOW - 5, NOW), Secret(b"\x02" * 32, 7, NOW, None))
    facts = json.loads(json.dumps(document(record(secrets=secrets), NOW)))
    assert facts["secrets"] == [{"not_before": "2027-01-15T08:00:00Z", "expires_at": None}]
    assert "digest" not in json.dumps(facts)
    assert stamp(None) is None
