"""The files: private, whole, made once."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.identity.state import StateError
from edge.tls.errors import TlsError
from edge.tls.leaf import read_leaf
from edge.tls.store import Store
from tests.edge.tls.certificates import DAY, NOW, STUDIO, authority


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_authority_is_made_once_and_kept_private(store: Store) -> None:
    assert store.authority() is None
    made = store.open_authority("studio", lambda: STUDIO, NOW)
    assert mode(store.folder) == 0o700
    assert mode(store.file) == 0o600
    assert store.open_authority("studio", lambda: STUDIO, NOW + DAY).fingerprint == made.fingerprint
    assert [path.name for path in store.folder.iterdir()] == ["authority.pem"]


def test_one_that_others_can_read_is_not_used(store: Store) -> None:
    store.open_authority("studio", lambda: STUDIO, NOW)
    store.file.chmod(0o640)
    with pytest.raises(StateError, match=r"open to other users: run: chmod 600"):
        store.open_authority("studio", lambda: STUDIO, NOW)


def test_a_damaged_one_is_told_and_never_replaced_unasked(store: Store) -> None:
    store.open_authority("studio", lambda: STUDIO, NOW)
    store.file.write_bytes(b"damage")
    with pytest.raises(StateError, match=r"is damaged .* llm-gateway ca rotate --yes"):
        store.open_authority("studio", lambda: STUDIO, NOW)
    assert store.file.read_bytes() == b"damage"


def test_a_wrong_clock_is_told_before_anything_is_made(store: Store) -> None:
    with pytest.raises(TlsError, match="set the clock"):
        store.open_authority("studio", lambda: STUDIO, datetime(1999, 1, 1, tzinfo=UTC))
    assert not store.file.exists()
    store.replace_authority(authority(NOW + 400 * DAY))
    with pytest.raises(TlsError, match="set the clock"):
        store.open_authority("studio", lambda: STUDIO, NOW)


def test_its_stamp_changes_with_it(store: Store) -> None:
    assert store.stamp() is None
    store.open_authority("studio", lambda: STUDIO, NOW)
    before = store.stamp()
    assert store.stamp() == before
    store.replace_authority(authority())
    assert store.stamp() != before
    assert mode(store.file) == 0o600


def test_a_leaf_is_kept_private_and_anything_else_there_is_none(store: Store) -> None:
    assert store.leaf("lan") is None
    leaf = read_leaf(authority().issue(STUDIO, NOW))
    store.keep_leaf("lan", leaf)
    assert store.leaf("lan") == leaf
    assert store.leaf("other") is None
    file = store.folder / "listener-lan.pem"
    assert mode(file) == 0o600
    file.write_bytes(b"damage")
    assert store.leaf("lan") is None
    file.write_bytes(leaf.pem)
    file.chmod(0o644)
    assert store.leaf("lan") is None


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file in the way")
    with pytest.raises(StateError, match="is not a folder"):
        Store(tmp_path / "home").make_folder()
