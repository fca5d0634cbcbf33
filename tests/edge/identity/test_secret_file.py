"""A token in a file that somebody else keeps: what is taken, and what each other file is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.identity.secret_file import SecretFileError, read_token
from edge.identity.token import Token, mint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "web"


@pytest.mark.parametrize("frame", ["%s", "%s\n", "%s\r\n", " %s \n\n"])
@pytest.mark.parametrize("mode", [0o400, 0o444, 0o644, 0o600])
def test_a_token_is_read_whatever_stands_around_it_and_whoever_may_read_it(file: Path, frame: str, mode: int) -> None:
    token = mint(os.urandom)
    file.write_text(frame % token.text)
    file.chmod(mode)
    assert read_token(file) == token


def poor(secret: str) -> bytes:
    return Token("k234567890", secret).text.encode()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"correct horse battery staple is no key\n", "holds no key"),
        (b"f" * 64, "holds no key"),
        (b"\xff\xfe\x00", "holds no key"),
        (mint(os.urandom).text[:-1].encode(), "holds no key"),
        (f"{mint(os.urandom).text}\n{mint(os.urandom).text}".encode(), "holds no key"),
        (poor("A" * 43), "not made by chance"),
        (poor(("password123" * 4)[:43]), "not made by chance"),
        (b"x" * 100_000, "holds no key"),
    ],
    ids=["empty", "blank", "prose", "hex", "bytes", "cut short", "two", "one letter", "a password", "long"],
)
def test_what_is_no_token_is_refused_with_the_next_step_and_not_shown(
    file: Path, content: bytes, complaint: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(SecretFileError, match=complaint) as caught:
        read_token(file)
    assert "llm-gateway keys secret > FILE" in str(caught.value)
    assert not content.strip() or content.strip().decode("latin-1")[:20] not in str(caught.value)


def test_what_everybody_may_write_to_is_no_secret(file: Path) -> None:
    file.write_text(mint(os.urandom).text)
    file.chmod(0o666)
    with pytest.raises(SecretFileError, match="chmod o-w"):
        read_token(file)


def test_a_folder_a_missing_file_and_a_pipe_are_told_apart_and_nothing_hangs(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError, match="Is a directory"):
        read_token(tmp_path)
    with pytest.raises(SecretFileError, match="No such file"):
        read_token(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretFileError, match="is not a file"):
        read_token(tmp_path / "pipe")
