"""Files are turned over by us and by others, and no line is lost, torn or in two files for it."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from observability.lines import LineWriter
from observability.outputs import LogFile
from tests.observability.decisions.records import until


def put(file: LogFile, text: bytes) -> None:
    file.prepare(len(text))
    assert file.write(memoryview(text)) == len(text)


def wait_for(line: bytes, folder: Path) -> None:
    until(lambda: any(line in content(each) for each in folder.iterdir()))


def content(path: Path) -> bytes:
    """Nothing while the writer gives it another name."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def test_a_full_file_becomes_the_first_old_one_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    file = LogFile(path, most_bytes=10, keep=2)
    for text in (b"one one\n", b"two two\n", b"three\n", b"4\n", b"five five\n"):
        put(file, text)
    file.close()
    assert path.read_bytes() == b"five five\n"
    assert (tmp_path / "access.log.1").read_bytes() == b"three\n4\n"
    assert (tmp_path / "access.log.2").read_bytes() == b"two two\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["access.log", "access.log.1", "access.log.2"]
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}


def test_a_batch_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", most_bytes=4, keep=1)
    put(file, b"much more\n")
    put(file, b"x\n")
    file.close()
    assert (tmp_path / "log.1").read_bytes() == b"much more\n"
    assert (tmp_path / "log").read_bytes() == b"x\n"


def test_who_renames_or_removes_or_truncates_the_file_needs_no_signal(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = LogFile(path)
    put(file, b"before\n")
    path.rename(tmp_path / "log-2026")
    put(file, b"after\n")
    assert ((tmp_path / "log-2026").read_bytes(), path.read_bytes()) == (b"before\n", b"after\n")
    path.unlink()
    put(file, b"again\n")
    assert path.read_bytes() == b"again\n"
    os.truncate(path, 0)
    put(file, b"copied\n")
    assert path.read_bytes() == b"copied\n"
    file.close()


def test_several_that_share_a_file_turn_it_over_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files = [LogFile(path, most_bytes=100, keep=50) for _ in range(3)]
    for number in range(100):
        put(files[number % 3], b"%03d\n" % number)
    for file in files:
        file.close()
    found = sorted(line for each in tmp_path.iterdir() for line in each.read_bytes().splitlines())
    assert found == [b"%03d" % number for number in range(100)]
    assert all(each.stat().st_size == 100 for each in tmp_path.iterdir())


def test_a_link_stays_and_what_it_names_is_turned_over(tmp_path: Path) -> None:
    real, link = tmp_path / "real.log", tmp_path / "link.log"
    real.write_bytes(b"")
    link.symlink_to(real)
    file = LogFile(link, most_bytes=4, keep=1)
    put(file, b"one\n")
    put(file, b"two\n")
    file.close()
    assert link.is_symlink()
    assert ((tmp_path / "real.log.1").read_bytes(), real.read_bytes()) == (b"one\n", b"two\n")


def test_a_folder_that_is_gone_costs_no_line_that_can_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(folder / "log")
    (folder / "log").unlink()
    folder.rmdir()
    put(file, b"to nowhere\n")
    folder.mkdir()
    put(file, b"here\n")
    file.close()
    assert (folder / "log").read_bytes() == b"here\n"


def test_a_writer_turns_its_file_over_between_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    writer = LineWriter(path, most_bytes=200, keep=100)
    for number in range(60):
        writer.write({"n": number})
        if number % 20 == 19:  # each batch is written in one piece
            wait_for(b'{"n":%d}\n' % number, tmp_path)
    writer.close()
    lines = [orjson.loads(line)["n"] for each in tmp_path.iterdir() for line in each.read_bytes().splitlines()]
    assert sorted(lines) == list(range(60))
    assert len(list(tmp_path.iterdir())) > 1
