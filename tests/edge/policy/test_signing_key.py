"""The signing key: made once, private, agreed on by racing processes, and never replaced in silence."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.identity.state import StateError
from edge.policy import signing_key
from edge.policy.signing_key import SIGNING_KEY, SigningKey, open_signer

RACER = """
import sys
from pathlib import Path
from edge.policy.signing_key import open_signer
sys.stdin.read(1)
print(open_signer(Path(sys.argv[1])).kid)
"""


def test_it_is_made_private_and_read_back(tmp_path: Path) -> None:
    made = SigningKey(tmp_path).signer()
    path = tmp_path / SIGNING_KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert open_signer(path).kid == made.kid
    assert open_signer(path).public_pem == made.public_pem
    assert [entry.name for entry in tmp_path.iterdir()] == [SIGNING_KEY]


def test_nothing_is_made_or_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import edge.admin.routes;"
        "from edge.policy.signing_key import SigningKey; SigningKey(Path(sys.argv[1]));"
        "assert not any(name.startswith('cryptography') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=30)
    assert list(tmp_path.iterdir()) == []


def test_racing_processes_and_threads_agree(tmp_path: Path) -> None:
    path = tmp_path / SIGNING_KEY
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    answers = {racer.communicate(b"go", timeout=30)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 3
    key = SigningKey(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        signers = [*pool.map(lambda _: key.signer(), range(8))]
    assert len({id(signer) for signer in signers}) == 1
    assert answers == {f"{signers[0].kid}\n".encode()}
    assert [entry.name for entry in tmp_path.iterdir()] == [SIGNING_KEY]


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o666])
def test_one_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / SIGNING_KEY
    _ = open_signer(path)
    path.chmod(mode)
    with pytest.raises(StateError, match=r"^the signing key \S+ is open to other users: run: chmod 600 '\S+'$"):
        open_signer(path)


@pytest.mark.parametrize("text", ["", "abc", "-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_one_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / SIGNING_KEY
    path.write_text(text)
    path.chmod(0o600)
    key = SigningKey(tmp_path)
    for _ in range(2):
        with pytest.raises(StateError, match="damaged"):
            key.signer()
    assert path.read_text() == text


def test_a_folder_that_takes_no_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot make the signing key"):
        SigningKey(tmp_path / "missing").signer()
    (tmp_path / SIGNING_KEY).mkdir()
    with pytest.raises(StateError, match="cannot read the signing key"):
        SigningKey(tmp_path).signer()


def test_a_half_written_draft_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing_key, "_new_key", fails)
    with pytest.raises(StateError, match="No space left"):
        SigningKey(tmp_path).signer()
    assert list(tmp_path.iterdir()) == []
