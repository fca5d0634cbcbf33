"""KeyStore: what is written is read back, each write is seen by everybody, and a name means one key."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from edge.identity.grant import Grant
from edge.identity.store.store import KeyEndedError, KeyNotFoundError, KeyStore
from policies.principal import Quota, Scope
from tests.edge.identity.fixtures import NOW, PEPPERS, Clock, open_store

FULL = Grant(
    name="ci",
    owner="ann",
    groups=("a", "ü"),
    scopes=(Scope.INFERENCE, Scope.ADMIN),
    models=("ai/*", "llama?"),
    networks=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
    listeners=("lan",),
    quota=Quota(rpm=1, tpm=2, tpd=2**50, concurrency=4, priority="batch"),
    expires_at=NOW + 0.5,
    device="Ann's laptop",
    preset="kids",
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> KeyStore:
    return open_store(tmp_path, clock)


def test_a_grant_survives_the_database(store: KeyStore, tmp_path: Path) -> None:
    record, token = store.create(FULL)
    assert record.grant == FULL
    assert record.secrets[0].digest == PEPPERS.digest(token)
    store.close()
    assert open_store(tmp_path).show(token.id) == record


def test_the_secret_is_not_in_the_file(store: KeyStore, tmp_path: Path) -> None:
    _, token = store.create(FULL)
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.id.encode() in content
    assert token.secret.encode() not in content


def test_every_write_raises_the_revision_and_reads_do_not(store: KeyStore) -> None:
    seen = [store.revision()]
    writes = (
        lambda: store.create(Grant("a")),
        lambda: store.update("a", lambda grant: replace(grant, owner="b")),
        lambda: store.rotate("a", 60),
        lambda: store.revoke("a"),
        lambda: store.delete("a"),
    )
    for write in writes:
        write()
        store.list()
        seen.append(store.revision())
    assert seen == sorted(set(seen))


def test_a_write_that_fails_changes_nothing(store: KeyStore) -> None:
    record, _ = store.create(Grant("a"))
    before = store.load_all()

    def fail(_grant: Grant) -> Grant:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.update(record.id, fail)
    assert store.load_all() == before


def test_rotation_keeps_id_and_settings_and_overlaps(store: KeyStore, clock: Clock) -> None:
    record, old = store.create(replace(FULL, expires_at=None))
    clock.at += 10
    rotated, new = store.rotate("ci", 60)
    assert (rotated.id, rotated.grant) == (record.id, record.grant)
    assert new.id == old.id
    assert [(s.digest, s.expires_at) for s in rotated.secrets] == [
        (PEPPERS.digest(old), clock.at + 60),
        (PEPPERS.digest(new), None),
    ]


def test_a_second_rotation_never_prolongs_the_first_overlap(store: KeyStore, clock: Clock) -> None:
    _, first = store.create(Grant("ci"))
    store.rotate("ci", 60)
    record, _ = store.rotate("ci", 3600)
    assert [s.expires_at for s in record.secrets] == [clock.at + 60, clock.at + 3600, None]
    record, _ = store.rotate("ci", 0)
    assert [s.expires_at for s in record.secrets] == [None]
    assert record.secrets[0].digest != PEPPERS.digest(first)


def test_revocation_is_final_and_keeps_its_time(store: KeyStore, clock: Clock) -> None:
    store.create(Grant("ci"))
    assert store.revoke("ci").revoked_at == NOW
    clock.at += 10
    again = store.revoke("ci")
    assert (again.revoked_at, again.secrets) == (NOW, ())
    with pytest.raises(KeyEndedError, match="final"):
        store.rotate("ci", 0)
    with pytest.raises(KeyEndedError, match="final"):
        store.update("ci", lambda grant: grant)


def test_an_expired_key_is_extended_before_it_is_rotated(store: KeyStore, clock: Clock) -> None:
    store.create(FULL)
    clock.at += 1
    with pytest.raises(KeyEndedError, match="--expires"):
        store.rotate("ci", 0)
    store.update("ci", lambda grant: replace(grant, expires_at=None))
    store.rotate("ci", 0)


def test_deletion_leaves_nothing(store: KeyStore) -> None:
    record, _ = store.create(Grant("ci"))
    assert store.delete("ci") == record
    assert store.load_all().records == ()
    with pytest.raises(KeyNotFoundError, match="no key"):
        store.show(record.id)


def test_a_name_means_the_live_key_and_an_id_always_works(store: KeyStore, clock: Clock) -> None:
    old, _ = store.create(Grant("ci"))
    store.revoke("ci")
    clock.at += 1
    new, _ = store.create(Grant("ci"))
    assert store.show("ci").id == new.id
    assert store.show(old.id).id == old.id
    with pytest.raises(KeyNotFoundError, match=f"{old.id}, {new.id}"):
        store.delete("ci")
    clock.at += 1
    third, _ = store.create(Grant("ci"))
    with pytest.raises(KeyNotFoundError, match=f"give an id: {new.id}, {third.id}"):
        store.revoke("ci")


def test_a_reference_is_data_never_sql(store: KeyStore) -> None:
    store.create(Grant("ci"))
    for reference in ("' OR 1=1 --", "%", "\x00", "\ud800", "", "ci'; DROP TABLE keys; --"):
        with pytest.raises(KeyNotFoundError):
            store.show(reference)
    assert len(store.list()) == 1


def test_one_row_that_cannot_be_read_closes_only_itself(store: KeyStore, tmp_path: Path) -> None:
    good, _ = store.create(Grant("good"))
    bad, _ = store.create(Grant("bad"))
    engine = create_engine(f"sqlite:///{tmp_path / 'gateway.db'}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE keys SET scopes = '[\"root\"]' WHERE id = :id"), {"id": bad.id})
    engine.dispose()
    assert [record.id for record in store.load_all().records] == [good.id]
