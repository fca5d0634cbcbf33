"""The state folder: found per platform, private, and refused in one line when it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.identity.state import StateError, open_home, state_home

HOME = Path("/home/ann")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "darwin", "/home/ann/Library/Application Support/llm-gateway"),
        ({}, "linux", "/home/ann/.local/share/llm-gateway"),
        ({"XDG_DATA_HOME": "/data"}, "linux", "/data/llm-gateway"),
        ({"XDG_DATA_HOME": "relative"}, "linux", "/home/ann/.local/share/llm-gateway"),
        ({"LLM_GATEWAY_HOME": "/srv/gw", "XDG_DATA_HOME": "/data"}, "linux", "/srv/gw"),
        ({"LLM_GATEWAY_HOME": ""}, "linux", "/home/ann/.local/share/llm-gateway"),
    ],
)
def test_the_place_follows_the_platform(environ: dict[str, str], platform: str, expected: str) -> None:
    assert state_home(environ, platform=platform, user_home=HOME) == Path(expected)


def test_a_new_folder_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = open_home(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert open_home(home) == home


def test_a_lax_folder_of_ours_is_tightened(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert open_home(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(StateError, match=r"^\S+ is not a folder: .*LLM_GATEWAY_HOME[^\n]*$"):
        open_home(tmp_path / "home")


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"cannot make the state folder .*Not a directory"):
        open_home(tmp_path / "file" / "home")


def test_the_home_folder_itself_is_not_tightened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path.chmod(0o755)
    with pytest.raises(StateError, match="of its own"):
        open_home(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere, so the answer is put in its mouth
    with pytest.raises(StateError, match="not readable and writable"):
        open_home(tmp_path)


def test_a_stranger_s_folder_is_taken_unless_everybody_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    tmp_path.chmod(0o770)
    assert open_home(tmp_path) == tmp_path
    assert "belongs to another user" in caplog.text
    tmp_path.chmod(0o777)
    with pytest.raises(StateError, match="everybody may write"):
        open_home(tmp_path)
