"""The pepper: made once, private, agreed on by racing processes, and never replaced in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.identity.pepper import of, open_peppers
from edge.identity.state import StateError
from edge.identity.token import mint

RACER = """
import sys
from pathlib import Path
from edge.identity.pepper import open_peppers
sys.stdin.read(1)
peppers = open_peppers(Path(sys.argv[1]), create=True)
print(peppers.secrets[peppers.current].hex())
"""


def test_it_is_made_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    made = open_peppers(path, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_peppers(path, create=False) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["pepper"]
    assert repr(made).count(made.secrets[made.current].hex()) == 0


def test_racing_processes_agree(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"go")
        racer.stdin.flush()
    assert len({racer.communicate()[0] for racer in racers}) == 1
    assert [racer.returncode for racer in racers] == [0] * 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["pepper"]


def test_the_loser_of_the_race_takes_the_winner_s(tmp_path: Path) -> None:
    path = tmp_path / "pepper"

    def randomness(count: int) -> bytes:
        if not path.exists():
            open_peppers(path, create=True)  # another process, at the worst moment
        return b"\x01" * count

    peppers = open_peppers(path, create=True, randomness=randomness)
    assert peppers.secrets[peppers.current] != b"\x01" * 32


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o666])
def test_one_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "pepper"
    open_peppers(path, create=True)
    path.chmod(mode)
    with pytest.raises(StateError, match=r"^the pepper \S+ is open to other users: run: chmod 600 '\S+'$"):
        open_peppers(path, create=True)


@pytest.mark.parametrize("text", ["", "\n", "abc", "0" * 63, "0" * 64 + "\nx", "G" * 64])
def test_a_damaged_one_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pepper"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(StateError, match="damaged"):
        open_peppers(path, create=True)
    assert path.read_text() == text


def test_a_missing_one_is_not_made_for_a_database_with_keys(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="missing"):
        open_peppers(tmp_path / "pepper", create=False)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot read the pepper"):
        open_peppers(tmp_path, create=True)


def test_a_folder_that_is_missing_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"^cannot make the pepper [^\n]*$"):
        open_peppers(tmp_path / "nowhere" / "pepper", create=True)


def test_the_last_line_is_current_and_older_ones_still_count(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    old, new = b"a" * 32, b"b" * 32
    path.write_text(f"{old.hex()}\n{new.hex()}\n")
    path.chmod(0o600)
    peppers = open_peppers(path, create=False)
    assert peppers == of(old, new)
    assert peppers.secrets[peppers.current] == new
    token = mint(os.urandom)
    assert peppers.digest(token) == of(new).digest(token)
    assert peppers.digest(token, of(old).current) == of(old).digest(token)


def test_the_digest_depends_on_the_id_too() -> None:
    peppers = of(b"a" * 32)
    token = mint(os.urandom)
    other = mint(lambda count: b"\x07" * count)
    assert peppers.digest(token) != peppers.digest(type(token)(other.id, token.secret))
