"""Files are private, whole-lined and locked; what is pruned keeps the bounds and spares what is being written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.decisions import segments
from observability.decisions.segments import Segment, listing, prune
from observability.decisions.settings import DecisionLogSettings

KIB = 1024
NOW = 1_795_000_000.0
SMALL = DecisionLogSettings(days=10, max_bytes=256 * KIB, segment_bytes=64 * KIB)


def closed(folder: Path, *, started: float, size: int) -> Path:
    segment = Segment(folder, started)
    segment.append([b"x" * (size - 1) + b"\n"])
    segment.close()
    return segment.path


def test_folder_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "decisions"
    segment = Segment(folder, NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    segment.close()


def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "decisions"
    folder.mkdir(mode=0o755)
    Segment(folder, NOW).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "decisions").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError):
        Segment(tmp_path / "decisions", NOW)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_with_nothing_in_it_is_not_left_behind(tmp_path: Path) -> None:
    Segment(tmp_path, NOW).close()
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_half_way_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(tmp_path, NOW)
    segment.append([b"first\n"])
    write, calls = os.write, 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    monkeypatch.setattr(segments, "os", SimpleNamespace(**{**vars(os), "write": full}))
    with pytest.raises(OSError, match="No space"):
        segment.append([b"second\n"])
    monkeypatch.undo()
    segment.append([b"third\n"])
    segment.close()
    assert segment.path.read_bytes() == b"first\nthird\n"


def test_a_file_that_gets_no_name_stays_out_of_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path, __: Path) -> Path:
        raise OSError(30, "Read-only file system")

    before = len(list(Path("/dev/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(OSError, match="Read-only"):
            Segment(tmp_path, NOW)
    assert listing(tmp_path) == []
    assert len(list(Path("/dev/fd").iterdir())) <= before


def test_a_file_that_another_process_prunes_first_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = closed(tmp_path, started=NOW - SMALL.age - 1, size=100)
    found = listing(tmp_path)
    old.unlink()
    monkeypatch.setattr(segments, "listing", lambda *_: found)
    assert prune(tmp_path, SMALL, NOW) == 1


def test_too_old_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    old = closed(tmp_path, started=NOW - SMALL.age - 1, size=100)
    young = closed(tmp_path, started=NOW - SMALL.age + 1, size=100)
    other = tmp_path / "notes.jsonl"
    other.write_text("mine")
    link = tmp_path / "decisions-0000000000001-1-00000000.jsonl"
    link.symlink_to(other)
    assert prune(tmp_path, SMALL, NOW) == 1
    assert not old.exists()
    assert young.exists()
    assert other.exists()
    assert link.is_symlink()


def test_what_is_being_written_is_spared_and_counts_as_full(tmp_path: Path) -> None:
    oldest = Segment(tmp_path, NOW - SMALL.age - 5)
    oldest.append([b"x\n"])
    files = [closed(tmp_path, started=NOW - 100 + i, size=64 * KIB) for i in range(3)]
    assert prune(tmp_path, SMALL, NOW) == 0
    assert prune(tmp_path, SMALL, NOW, room=64 * KIB) == 1
    assert [file.path for file in listing(tmp_path)] == [oldest.path, *files[1:]]
    oldest.close()
    assert prune(tmp_path, SMALL, NOW) == 1


def test_no_folder_is_an_empty_log(tmp_path: Path) -> None:
    assert listing(tmp_path / "none") == []
    assert prune(tmp_path / "none", SMALL, NOW) == 0


@given(
    files=st.lists(st.tuples(st.floats(0, 20 * 86_400), st.integers(1, 64 * KIB)), max_size=12),
    room=st.integers(0, 64 * KIB),
)
@settings(max_examples=50, deadline=None)
def test_afterwards_the_bounds_hold_and_nothing_went_that_fits(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[float, int]], room: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for age, size in files:
        closed(folder, started=NOW - age, size=size)
    before = listing(folder)
    gone = prune(folder, SMALL, NOW, room=room)
    after = listing(folder)
    assert sum(file.size for file in after) + room <= SMALL.max_bytes
    assert all(file.started > NOW - SMALL.age for file in after)
    assert after == before[gone:]
    if gone:
        last = before[gone - 1]
        fits = sum(file.size for file in after) + last.size + room <= SMALL.max_bytes
        assert last.started <= NOW - SMALL.age or not fits
