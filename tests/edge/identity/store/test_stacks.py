"""A stack's key: the same token at every up, gone with down, and nobody else's business."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.identity.configured import ConfiguredKey
from edge.identity.grant import Grant
from edge.identity.pepper import of
from edge.identity.record import KeyRecord, Origin
from edge.identity.stack import StackService
from edge.identity.store.configured import ConfiguredKeys
from edge.identity.store.stacks import StackKeys
from edge.identity.store.store import KeyManagedError, KeyStore
from edge.identity.token import mint, parse
from edge.store.database import Database
from policies.principal import Quota
from tests.edge.identity.fixtures import PEPPERS, Clock

LLM = StackService("shop", "llm")
GRANT = Grant("x", models=("tiny",), quota=Quota(rpm=5))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'gateway.db'}")
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database, clock: Clock) -> KeyStore:
    return KeyStore(database, PEPPERS, now=clock)


@pytest.fixture
def stacks(database: Database, clock: Clock) -> StackKeys:
    return StackKeys(database, PEPPERS, clock)


def alive(store: KeyStore) -> list[KeyRecord]:
    return [record for record in store.list() if record.revoked_at is None]


def test_up_again_gives_the_same_token_with_the_limits_of_today(stacks: StackKeys, store: KeyStore) -> None:
    key_id, token, new = stacks.provide(LLM, GRANT)
    assert (new, parse(token.text)) == (True, token)
    again = stacks.provide(LLM, replace(GRANT, quota=Quota(rpm=6)))
    assert again == (key_id, token, False)
    (record,) = store.list()
    assert (record.id, record.origin, record.grant.owner, record.grant.name) == (
        key_id,
        Origin.COMPOSE,
        "compose:shop",
        "shop/llm",
    )
    assert record.grant.quota == Quota(rpm=6)
    assert [secret.digest for secret in record.secrets] == [PEPPERS.digest(token)]


def test_down_ends_it_and_the_next_up_has_another_secret(stacks: StackKeys, store: KeyStore) -> None:
    first_id, first, _ = stacks.provide(LLM, GRANT)
    assert stacks.withdraw(LLM) == [first_id]
    assert stacks.withdraw(LLM) == []
    assert alive(store) == []
    second_id, second, new = stacks.provide(LLM, GRANT)
    assert new
    assert second_id != first_id
    assert second.secret != first.secret
    assert [record.id for record in store.list()] == [second_id], "dead keys do not pile up"


def test_every_stack_and_service_has_its_own(stacks: StackKeys, store: KeyStore) -> None:
    services = [LLM, StackService("shop", "other"), StackService("blog", "llm")]
    tokens = {stacks.provide(which, GRANT)[1].text for which in services}
    assert len(tokens) == 3
    stacks.withdraw(LLM)
    assert {record.grant.name for record in alive(store)} == {"shop/other", "blog/llm"}


def test_a_key_of_the_same_name_made_by_hand_is_left_alone(stacks: StackKeys, store: KeyStore) -> None:
    mine, _ = store.create(Grant("shop/llm", owner="compose:shop"))
    stacks.provide(LLM, GRANT)
    stacks.withdraw(LLM)
    assert [record.id for record in alive(store)] == [mine.id]


def test_what_a_person_revoked_or_rotated_is_followed_by_another_key(stacks: StackKeys, store: KeyStore) -> None:
    first, _, _ = stacks.provide(LLM, GRANT)
    store.revoke(first)
    second, token, new = stacks.provide(LLM, GRANT)
    assert (new, second == first) == (True, False)
    assert first in {record.id for record in store.list()}, "the revoked one stays to be seen"
    store.rotate(second, 0)
    third, other, new = stacks.provide(LLM, GRANT)
    assert (new, third in (first, second), other == token) == (True, False, False)
    assert [record.id for record in alive(store)] == [third]


def test_the_token_needs_the_pepper(stacks: StackKeys, store: KeyStore, database: Database, clock: Clock) -> None:
    key_id, token, _ = stacks.provide(LLM, GRANT)
    other = of(b"q" * 32)
    assert other.derive("compose secret", key_id) != PEPPERS.derive("compose secret", key_id)
    assert PEPPERS.derive("compose secret", key_id) != PEPPERS.derive("other", key_id)
    _, changed, new = StackKeys(database, other, clock).provide(LLM, GRANT)
    assert (new, changed.secret == token.secret) == (True, False)
    assert len(alive(store)) == 1


def test_the_secret_is_not_in_the_file(stacks: StackKeys, database: Database, tmp_path: Path) -> None:
    _, token, _ = stacks.provide(LLM, GRANT)
    database.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.id.encode() in content
    assert token.secret.encode() not in content


def test_a_stacks_key_keeps_the_name_and_the_owner_by_which_down_finds_it(stacks: StackKeys, store: KeyStore) -> None:
    key_id, _, _ = stacks.provide(LLM, GRANT)
    for change in ({"owner": "team"}, {"name": "mine"}):
        with pytest.raises(KeyManagedError, match="Compose stack's"):
            store.update(key_id, lambda grant, change=change: replace(grant, **change))  # type: ignore[misc]
    store.update(key_id, lambda grant: replace(grant, groups=("dev",)))
    assert stacks.withdraw(LLM) == [key_id]


def test_a_name_of_the_configuration_is_no_stacks(
    stacks: StackKeys, database: Database, clock: Clock, tmp_path: Path
) -> None:
    """The gateway would not start again: two keys of one name."""
    (tmp_path / "secret").write_text(mint(os.urandom).text)
    entries = [ConfiguredKey(name=LLM.name, secret_file=tmp_path / "secret")]
    ConfiguredKeys(database, PEPPERS, clock).follow(entries)
    with pytest.raises(KeyManagedError, match="choose another name"):
        stacks.provide(LLM, GRANT)
    assert ConfiguredKeys(database, PEPPERS, clock).follow(entries) == []
