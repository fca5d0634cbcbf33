"""The key that `top` and `tail` make: it can only look, ends by itself, and is gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli.live.access import LIFE, Given, Made, access
from edge.config.settings import Settings
from edge.identity.grant import Grant
from edge.identity.record import KeyRecord
from edge.identity.state import StateError
from edge.identity.store.opening import open_keys
from edge.identity.store.store import KeyStore
from edge.identity.token import parse
from policies.principal import Scope
from tests.edge.identity.fixtures import Clock, open_store


def test_it_can_look_and_nothing_else_and_is_gone_afterwards(tmp_path: Path) -> None:
    clock, store = Clock(), open_store(tmp_path)
    with Made(lambda: open_store(tmp_path, clock), "top@mac", clock) as made:
        (record,) = store.list()
        token = parse(made.key)
        assert token is not None
        assert token.id == record.id
        grant = record.grant
        assert (grant.name, grant.scopes, grant.listeners) == ("top@mac", (Scope.USAGE_READ,), ("admin",))
        assert grant.expires_at == clock.at + LIFE
    assert store.list() == ()


def test_it_is_gone_after_an_error_too_and_a_new_one_replaces_the_old(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def use() -> None:
        with Made(lambda: open_store(tmp_path), "top@mac", Clock()) as made:
            first = made.key
            assert made.renew()
            assert made.key != first
            assert len(store.list()) == 1
            store.delete("top@mac")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()
    assert store.list() == ()


def test_what_a_killed_one_left_is_cleared_away_once_it_has_expired(tmp_path: Path) -> None:
    clock, store = Clock(), open_store(tmp_path)
    left = Made(lambda: open_store(tmp_path, clock), "top@mac", clock).__enter__()
    with Made(lambda: open_store(tmp_path, clock), "top@mac", clock):
        assert len(store.list()) == 2  # another one that still looks on
    clock.at += LIFE + 1
    with Made(lambda: open_store(tmp_path, clock), "top@mac", clock) as made:
        (record,) = store.list()
        assert record.id in made.key
        assert record.id not in left.key


def test_several_may_clear_away_the_same_one_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose calls a provider for several services of a stack at once."""
    clock, store = Clock(), open_store(tmp_path)
    Made(lambda: open_store(tmp_path, clock), "top@mac", clock).__enter__()
    clock.at += LIFE + 1

    delete = KeyStore.delete

    def second(mine: KeyStore, reference: str) -> KeyRecord:
        delete(store, reference)
        return delete(mine, reference)

    monkeypatch.setattr(KeyStore, "delete", second)
    made = Made(lambda: open_store(tmp_path, clock), "top@mac", clock)
    made.__enter__()
    assert [record.id in made.key for record in store.list()] == [True]


def test_a_key_in_the_environment_is_used_instead(tmp_path: Path) -> None:
    environ = {"LLM_GATEWAY_ADMIN_KEY": " lgw_x ", "LLM_GATEWAY_HOME": str(tmp_path)}
    found = access("top", Settings(), environ)
    assert isinstance(found, Given)
    with found:
        assert (found.key, found.renew()) == ("lgw_x", False)
    assert list(tmp_path.iterdir()) == []


def test_no_state_is_made_where_no_gateway_has_run(tmp_path: Path) -> None:
    """Else the first start would take the database for used, and show no first key."""
    home = tmp_path / "home"
    with pytest.raises(StateError), access("top", Settings(), {"LLM_GATEWAY_HOME": str(home)}):
        pass
    assert not home.exists()


def test_a_database_that_holds_nothing_yet_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = open_keys(home).store
    environ = {"LLM_GATEWAY_HOME": str(home)}
    with pytest.raises(StateError), access("top", Settings(), environ):
        pass
    assert store.untouched
    store.create(Grant("first"))
    with access("top", Settings(), environ):
        assert len(store.list()) == 2
