"""The configuration's keys in the database: made, rotated and revoked as the entries say, whoever starts when."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge.identity.configured import ConfiguredKey
from edge.identity.directory import KeyDirectory, prepare
from edge.identity.grant import Grant
from edge.identity.record import Origin, Status
from edge.identity.state import StateError
from edge.identity.store.configured import ConfiguredKeys
from edge.identity.store.store import KeyManagedError, KeyStore
from edge.identity.token import Token, mint
from edge.store.database import Database
from policies.errors import Refusal
from tests.edge.identity.fixtures import PEPPERS, Clock
from tests.postgres_server import PostgresServer, postgres

HOUR = 3600.0


@dataclass
class House:
    """A database with its stores, and a folder of secret files."""

    folder: Path
    database: Database
    clock: Clock

    @property
    def store(self) -> KeyStore:
        return KeyStore(self.database, PEPPERS, now=self.clock)

    def follow(self, *entries: ConfiguredKey) -> list[str]:
        keys = ConfiguredKeys(self.database, PEPPERS, self.clock)
        return [type(change).__name__ for change in keys.follow(entries)]

    def write(self, name: str, token: Token) -> ConfiguredKey:
        (self.folder / name).write_text(f"{token.text}\n")
        return ConfiguredKey(name=name, secret_file=self.folder / name)

    def lets_in(self, token: Token) -> bool:
        directory = KeyDirectory(PEPPERS)
        directory.swap(prepare(self.store.load_all()), self.clock())
        try:
            return directory.authenticate(token.text, self.clock()).key_id == token.id
        except Refusal:
            return False


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").fresh()
    database = Database(url)
    yield House(tmp_path, database, Clock())
    database.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


def test_entries_open_the_door_and_the_database_never_holds_a_secret(house: House) -> None:
    token = mint(os.urandom)
    entry = replace(house.write("web", token), models=("tiny",), rpm=5)
    assert house.store.untouched
    assert house.follow(entry) == ["Made"]
    assert house.follow(entry) == []
    assert house.lets_in(token)
    (record,) = house.store.list()
    assert (record.origin, record.grant.models, record.grant.quota.rpm) == (Origin.CONFIGURATION, ("tiny",), 5)
    assert not house.store.untouched
    for file in house.folder.glob("gateway.db*"):
        assert token.secret.encode() not in file.read_bytes()


def test_a_changed_file_rotates_with_an_overlap(house: House) -> None:
    old = mint(os.urandom)
    house.follow(house.write("web", old))
    new = mint(os.urandom, key_id=old.id)
    assert house.follow(house.write("web", new)) == ["Rotated"]
    assert (house.lets_in(old), house.lets_in(new)) == (True, True)
    house.clock.at += HOUR
    assert (house.lets_in(old), house.lets_in(new)) == (False, True)
    assert house.follow(house.write("web", new)) == []


def test_without_an_overlap_the_old_secret_is_dead_at_once(house: House) -> None:
    old = mint(os.urandom)
    house.follow(house.write("web", old))
    for new in (mint(os.urandom, key_id=old.id), mint(os.urandom)):
        house.follow(replace(house.write("web", new), overlap=0.0))
        assert (house.lets_in(old), house.lets_in(new)) == (False, True)
        old = new


def test_another_id_in_the_file_is_another_key_and_the_old_one_runs_out(house: House) -> None:
    old, new = mint(os.urandom), mint(os.urandom)
    house.follow(house.write("web", old))
    assert house.follow(house.write("web", new)) == ["Made", "Replaced"]
    assert (house.lets_in(old), house.lets_in(new)) == (True, True)
    house.clock.at += HOUR
    assert (house.lets_in(old), house.lets_in(new)) == (False, True)


def test_the_old_secret_in_the_file_again_works_again_without_an_end(house: House) -> None:
    old = mint(os.urandom)
    house.follow(house.write("web", old))
    house.follow(house.write("web", mint(os.urandom, key_id=old.id)))
    house.clock.at += 60
    assert house.follow(house.write("web", old)) == ["Rotated"]
    house.clock.at += 2 * HOUR
    assert house.lets_in(old)
    assert house.follow(house.write("web", old)) == []


def test_an_entry_that_goes_revokes_and_comes_back_with_the_same_secret(house: House) -> None:
    token = mint(os.urandom)
    entry = house.write("web", token)
    house.follow(entry)
    assert house.follow() == ["Dropped"]
    assert not house.lets_in(token)
    assert house.store.show("web").status(house.clock()) is Status.REVOKED
    assert house.follow(entry) == ["Made"]
    assert house.lets_in(token)


def test_revoked_by_hand_stays_revoked_whatever_the_configuration_says(house: House) -> None:
    token = mint(os.urandom)
    entry = house.write("web", token)
    house.follow(entry)
    house.store.revoke("web")
    with pytest.raises(StateError, match=r"was revoked.*keys secret"):
        house.follow(entry)
    with pytest.raises(KeyManagedError):
        house.store.delete(token.id)
    assert not house.lets_in(token)
    assert house.follow(house.write("web", mint(os.urandom))) == ["Made"]


def test_revoked_by_hand_after_its_entry_went_it_does_not_come_back_with_the_entry(house: House) -> None:
    token = mint(os.urandom)
    entry = house.write("web", token)
    house.follow(entry)
    house.follow()
    gone = house.store.show("web").revoked_at
    house.clock.at += 10
    revoked = house.store.revoke("web")
    assert (revoked.revoked_at, revoked.revoked_by) == (gone, Origin.HAND)
    with pytest.raises(StateError, match="was revoked"):
        house.follow(entry)
    assert not house.lets_in(token)


def test_hands_off_the_configurations_keys_and_names(house: House) -> None:
    house.follow(house.write("web", mint(os.urandom)))
    store = house.store
    for touch in (
        lambda: store.update("web", lambda grant: replace(grant, owner="me")),
        lambda: store.rotate("web", 0),
        lambda: store.delete("web"),
        lambda: store.create(Grant("web")),
    ):
        with pytest.raises(KeyManagedError):
            touch()
    other, _ = store.create(Grant("other"))
    with pytest.raises(KeyManagedError):
        store.update(other.id, lambda grant: replace(grant, name="web"))
    house.follow()
    assert store.delete("web").grant.name == "web"


def test_one_bad_entry_and_nothing_is_done(house: House) -> None:
    good, bad = house.write("web", mint(os.urandom)), house.write("job", mint(os.urandom))
    (house.folder / "job").write_text("")
    with pytest.raises(StateError, match=r"key 'job' .*: the file is empty: make one"):
        house.follow(good, bad)
    house.store.create(Grant("job"))
    house.write("job", mint(os.urandom))
    with pytest.raises(StateError, match="has that name"):
        house.follow(good, bad)
    assert [record.grant.name for record in house.store.list()] == ["job"]


def test_gateways_that_start_together_end_with_one_key_for_each_entry(house: House) -> None:
    tokens = {name: mint(os.urandom) for name in ("web", "job", "cron")}
    entries = [house.write(name, token) for name, token in tokens.items()]
    databases = [Database(house.database.url.render_as_string(hide_password=False)) for _ in range(6)]
    try:
        with ThreadPoolExecutor(len(databases)) as pool:
            many = [ConfiguredKeys(database, PEPPERS, house.clock) for database in databases]
            done = list(pool.map(lambda keys: keys.follow(entries), many))
    finally:
        for database in databases:
            database.close()
    assert sum(map(len, done)) == len(entries)
    assert {record.id for record in house.store.list()} == {token.id for token in tokens.values()}
    assert all(map(house.lets_in, tokens.values()))


def test_each_change_leaves_a_line_and_no_line_a_secret(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first, other = mint(os.urandom), mint(os.urandom)
    second = mint(os.urandom, key_id=first.id)
    house.follow(house.write("web", first))
    house.follow(house.write("web", second))
    house.follow(replace(house.write("web", second), rpm=1))
    house.follow(house.write("web", other))
    house.follow()
    said = [record.getMessage() for record in caplog.records if record.name == "edge.identity.store.configured"]
    words = ["is made", "is rotated", "is changed", "is made", "runs out", "is revoked", "is revoked"]
    assert [next(word for word in sorted(set(words)) if word in line) for line in said] == words
    assert all(token.secret not in " ".join(said) for token in (first, second, other))
