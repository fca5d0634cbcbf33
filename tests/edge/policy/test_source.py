"""The policy in force: a folder in the configuration, else what was applied, else the default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.policy.errors import PolicyToolError
from edge.policy.folder import Fingerprint, fingerprint, write_folder
from edge.policy.source import Origin, PolicySource
from edge.policy.store_types import Action
from policies.bundle import Bundle
from tests.edge.policy.fixtures import bundle, open_policies

A, B, DEFAULT = bundle("a"), bundle("b"), bundle("default")


def test_the_order_of_sources(tmp_path: Path) -> None:
    store = open_policies(tmp_path)
    source = PolicySource(store, DEFAULT)
    version, found = source.load()
    assert (found.origin, found.own, found.bundle, found.shadow) == (Origin.DEFAULT, DEFAULT, DEFAULT, None)
    store.apply(A, after=0, author="a", note="", action=Action.APPLY, report={})
    assert source.version() != version
    _, found = source.load()
    assert (found.origin, found.bundle) == (Origin.APPLIED, A)
    write_folder(B, tmp_path / "policy")
    _, found = PolicySource(store, DEFAULT, folder=tmp_path / "policy").load()
    assert (found.origin, found.bundle) == (Origin.FOLDER, B)
    store.apply(None, after=1, author="a", note="", action=Action.ROLLBACK, report={})
    assert source.load()[1].origin is Origin.DEFAULT


def test_policy_and_shadow_run_with_the_configurations_data(tmp_path: Path) -> None:
    store = open_policies(tmp_path)
    store.start_shadow(A, 1.0, "ann")
    _, found = PolicySource(store, DEFAULT, configured={"x": 1}).load()
    assert (found.own.data, found.bundle.data) == ({}, {"x": 1})
    assert found.shadow is not None
    assert (found.shadow.bundle.data, found.shadow.stored.bundle) == ({"x": 1}, A)


def test_asking_for_the_version_reads_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(A, tmp_path / "policy")
    source = PolicySource(open_policies(tmp_path), DEFAULT, folder=tmp_path / "policy")
    version = source.version()
    monkeypatch.setattr("edge.policy.folder._read", None)
    assert source.version() == version


def changing(folder: Path, times: int) -> Callable[[Path], Fingerprint]:
    """`fingerprint`, but the first so many times somebody saves a file just before it looks."""
    left = iter(range(times))

    def look(path: Path) -> Fingerprint:
        for number in left:
            (folder / "access.rego").write_text(f"# {number}\n" * (number + 1))
            break
        return fingerprint(path)

    return look


def test_half_of_one_state_and_half_of_another_is_never_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "policy"
    write_folder(A, folder)
    source = PolicySource(open_policies(tmp_path), DEFAULT, folder=folder)
    monkeypatch.setattr("edge.policy.source.fingerprint", changing(folder, 3))
    version, found = source.load()
    assert found.own == Bundle({"access.rego": "# 2\n" * 3}, A.tests)
    assert version == source.version()
    monkeypatch.setattr("edge.policy.source.fingerprint", changing(folder, 1_000))
    with pytest.raises(PolicyToolError, match="changes all the time"):
        source.load()
