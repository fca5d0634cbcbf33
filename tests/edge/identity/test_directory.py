"""The key directory: who gets in, one refusal for all who do not, and which keys ended."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from edge.identity.directory import KeyDirectory, prepare
from edge.identity.grant import Grant
from edge.identity.pepper import of
from edge.identity.record import KeyRecord, Secret, Snapshot
from edge.identity.store.store import KeyStore
from edge.identity.token import PREFIX, Token, mint
from edge.inflight import Inflight
from policies.errors import Refusal
from policies.exchange import Client, Exchange
from policies.reasons import Reason
from tests.edge.identity.fixtures import NOW, PEPPERS, Clock, open_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> KeyStore:
    return open_store(tmp_path, clock)


@pytest.fixture
def directory() -> KeyDirectory:
    return KeyDirectory(PEPPERS)


def load(directory: KeyDirectory, store: KeyStore, now: float = NOW) -> frozenset[str]:
    return directory.swap(prepare(store.load_all()), now)


def refused(directory: KeyDirectory, text: str, now: float = NOW) -> str:
    """The log detail of the one constant refusal."""
    with pytest.raises(Refusal) as caught:
        directory.authenticate(text, now)
    refusal = caught.value
    assert (refusal.reason, refusal.param, refusal.hint) == (Reason.INVALID_CREDENTIAL, None, None)
    return refusal.detail


def test_a_stored_key_gets_in(directory: KeyDirectory, store: KeyStore) -> None:
    record, token = store.create(Grant("ci", owner="ann"))
    load(directory, store)
    principal = directory.authenticate(token.text, NOW)
    assert (principal.id, principal.key_id) == ("ann", record.id)
    assert directory.size == 1
    assert directory.revision == store.revision()


def test_everything_else_is_the_same_refusal(directory: KeyDirectory, store: KeyStore, clock: Clock) -> None:
    _, live = store.create(Grant("live"))
    _, revoked = store.create(Grant("revoked"))
    _, expired = store.create(Grant("expired", expires_at=NOW + 1))
    _, deleted = store.create(Grant("deleted"))
    _, rotated = store.create(Grant("rotated"))
    store.revoke("revoked")
    store.delete("deleted")
    store.rotate("rotated", 1)
    load(directory, store)
    wrong = mint(os.urandom, key_id=live.id)
    unknown = mint(os.urandom)
    details = [
        refused(directory, token, NOW + 1)
        for token in (
            *(token.text for token in (revoked, expired, deleted, rotated, wrong, unknown)),
            "",
            "lgw_",
            live.text + "A",
            live.text.lower(),
            PREFIX + "é" * 60,
            "\ud800" * 64,
            Token(live.id, "0" * 43).text,
        )
    ]
    secrets = [token.secret for token in (live, revoked, expired, deleted, rotated, wrong, unknown)]
    assert not any(secret in detail for secret in secrets for detail in details)
    assert directory.authenticate(live.text, NOW + 1).name == "live"


def test_before_the_first_load_nobody_gets_in(directory: KeyDirectory) -> None:
    refused(directory, mint(os.urandom).text)


def test_a_digest_copied_to_another_key_opens_nothing(directory: KeyDirectory) -> None:
    mine = mint(os.urandom)
    secret = Secret(PEPPERS.digest(mine), PEPPERS.current, NOW, None)
    victim = KeyRecord("0123456789", Grant("admin"), NOW, secrets=(secret,))
    directory.swap(prepare(Snapshot(1, (victim,))), NOW)
    refused(directory, Token(victim.id, mine.secret).text)


def test_a_secret_of_an_unknown_pepper_is_refused(store: KeyStore) -> None:
    _, token = store.create(Grant("ci"))
    stranger = KeyDirectory(of(b"other" * 7))
    load(stranger, store)
    refused(stranger, token.text)


def test_an_older_pepper_still_opens(store: KeyStore) -> None:
    _, token = store.create(Grant("ci"))
    both = KeyDirectory(of(b"p" * 32, b"new pepper" * 4))
    load(both, store)
    assert both.authenticate(token.text, NOW).name == "ci"


def test_during_a_rotation_both_secrets_open_the_same_key(
    directory: KeyDirectory, store: KeyStore, clock: Clock
) -> None:
    _, old = store.create(Grant("ci"))
    load(directory, store)
    clock.at += 100
    _, new = store.rotate("ci", 60)
    assert load(directory, store, clock.at) == frozenset()
    for at in (0, 59.9):
        assert directory.authenticate(old.text, clock.at + at).key_id == new.id
        assert directory.authenticate(new.text, clock.at + at).key_id == new.id
    refused(directory, old.text, clock.at + 60)
    assert directory.authenticate(new.text, clock.at + 60).expires_at is None


async def test_the_end_of_an_overlap_cuts_no_stream(directory: KeyDirectory, store: KeyStore) -> None:
    _, old = store.create(Grant("ci"))
    store.rotate("ci", 60)
    load(directory, store)
    inflight, begun = Inflight(), asyncio.Event()
    caller = Exchange("0" * 32, Client("127.0.0.1", 1, "local"), principal=directory.authenticate(old.text, NOW + 59))

    async def stream() -> None:
        with inflight.scope(caller):
            begun.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stream())
        await begun.wait()
        refused(directory, old.text, NOW + 61)
        assert inflight.cut_expired(NOW + 61) == 0
        assert inflight.cut_keys(directory.expired(NOW + 61)) == 0
        running.cancel()


def test_expiry_fails_closed_at_its_instant(directory: KeyDirectory, store: KeyStore) -> None:
    _, token = store.create(Grant("ci", expires_at=NOW + 5))
    load(directory, store)
    assert directory.authenticate(token.text, NOW + 4.999).expires_at == NOW + 5
    refused(directory, token.text, NOW + 5)


def test_what_ends_a_key_is_reported_once(directory: KeyDirectory, store: KeyStore, clock: Clock) -> None:
    ids = {name: store.create(Grant(name))[0].id for name in ("revoked", "deleted", "leaked", "rotated", "kept")}
    assert load(directory, store) == frozenset()
    clock.at += 1
    store.revoke("revoked")
    store.delete("deleted")
    store.rotate("leaked", 0)
    store.rotate("rotated", 60)
    store.update("kept", lambda grant: replace(grant, models=("x",)))
    assert load(directory, store, clock.at) == {ids["revoked"], ids["deleted"], ids["leaked"]}
    assert load(directory, store, clock.at) == frozenset()
    assert load(directory, store, clock.at + 100) == frozenset(), "the end of an overlap cuts no stream"


def test_an_expiry_moved_into_the_past_ends_the_key(directory: KeyDirectory, store: KeyStore) -> None:
    record, _ = store.create(Grant("ci", expires_at=NOW + 100))
    load(directory, store)
    store.update("ci", lambda grant: replace(grant, expires_at=NOW - 1))
    assert load(directory, store) == {record.id}
    assert directory.expired(NOW) == frozenset()


def test_expiry_is_reported_when_it_passes_and_only_then(directory: KeyDirectory, store: KeyStore) -> None:
    ids = [store.create(Grant("ci", expires_at=NOW + at))[0].id for at in (20, 10, 30)]
    store.create(Grant("for ever"))
    load(directory, store)
    assert directory.next_expiry() == NOW + 10
    assert directory.expired(NOW + 9.9) == frozenset()
    assert directory.expired(NOW + 20) == {ids[0], ids[1]}
    assert directory.expired(NOW + 20) == frozenset()
    assert directory.next_expiry() == NOW + 30
    store.create(Grant("another"))
    assert load(directory, store, NOW + 25) == frozenset(), "a reload repeats nothing"
    assert directory.expired(NOW + 30) == {ids[2]}
    assert directory.next_expiry() is None


def test_an_expiry_that_passes_between_two_looks_is_reported_by_the_reload(
    directory: KeyDirectory, store: KeyStore
) -> None:
    record, _ = store.create(Grant("ci", expires_at=NOW + 10))
    load(directory, store)
    store.create(Grant("another"))
    assert load(directory, store, NOW + 11) == {record.id}


def test_a_take_over_that_fails_is_none(
    directory: KeyDirectory, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, token = store.create(Grant("ci"))
    load(directory, store)
    store.revoke("ci")

    def fail(*_: object) -> bool:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr("edge.identity.directory._goes_on", fail)
        with pytest.raises(RuntimeError):
            load(directory, store)
    assert directory.revision < store.revision(), "or the watcher would not try again"
    assert directory.authenticate(token.text, NOW).key_id == record.id
    assert load(directory, store) == {record.id}
