"""A reader gives every whole record exactly once, in order, whatever else is in the files, and holds little of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.decisions import reader
from observability.decisions.reader import LogStats, find, iterate, stats
from policies.record import Record
from tests.observability.decisions.records import BEGAN, record, request


def line(one: Record) -> bytes:
    return orjson.dumps(one.document()) + b"\n"


def segment(folder: Path, number: int, data: bytes) -> Path:
    path = folder / f"decisions-{number:013d}-1-{number:08x}.jsonl"
    path.write_bytes(data)
    return path


def filled(folder: Path, *files: Sequence[int]) -> None:
    for number, numbers in enumerate(files):
        segment(folder, number, b"".join(line(record(one)) for one in numbers))


def numbers(folder: Path, *, newest_first: bool = True) -> list[int]:
    return [int(found.id[4:]) for found in iterate(folder, newest_first=newest_first)]


def test_no_folder_and_no_file_are_an_empty_log(tmp_path: Path) -> None:
    assert list(iterate(tmp_path / "none")) == []
    assert find(tmp_path, request(1)) == []
    assert stats(tmp_path) == LogStats(0, 0, 0, 0, None, None)


def test_files_of_several_processes_are_interleaved_by_time(tmp_path: Path) -> None:
    filled(tmp_path, range(0, 20, 2), range(1, 20, 2), range(20, 25), [])
    assert numbers(tmp_path) == list(reversed(range(25)))
    assert numbers(tmp_path, newest_first=False) == list(range(25))


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, *([number] for number in range(200)))
    open_files = most = 0
    blocks = reader.blocks

    def counted(path: Path, *, backward: bool = False) -> object:
        nonlocal open_files, most
        open_files += 1
        most = max(most, open_files)
        try:
            yield from blocks(path, backward=backward)
        finally:
            open_files -= 1

    monkeypatch.setattr(reader, "blocks", counted)
    assert numbers(tmp_path) == list(reversed(range(200)))
    assert most <= 3


def test_limit_since_and_until(tmp_path: Path) -> None:
    filled(tmp_path, range(50), range(50, 100))
    assert [found.id for found in iterate(tmp_path, limit=2)] == [request(99), request(98)]
    assert list(iterate(tmp_path, limit=0)) == []
    window = iterate(tmp_path, since=BEGAN + 40, until=BEGAN + 60, limit=15)
    assert [found.id for found in window] == [request(number) for number in range(59, 44, -1)]


def test_times_that_are_written_in_any_way_are_within_the_window(tmp_path: Path) -> None:
    odd = record(5).document()
    shuffled = orjson.dumps({"at": 5, **{name: value for name, value in odd.items() if name != "at"}}) + b"\n"
    quoted = line(record(0, at=5.5)).replace(request(0).encode(), b'a\\",\\"at\\":9,')
    segment(tmp_path, 0, shuffled + quoted + orjson.dumps({**odd, "at": 1e-7}) + b"\n" + line(record(1)))
    assert [found.at for found in iterate(tmp_path, since=5, until=6)] == [5.5, 5.0]
    assert [found.at for found in iterate(tmp_path, until=1)] == [1e-7]


def test_all_records_of_a_request_are_found_in_their_order(tmp_path: Path) -> None:
    first, second = record(7), record(7, at=BEGAN + 8)
    segment(tmp_path, 0, line(record(6)) + line(second) + line(record(70)))
    segment(tmp_path, 1, line(first) + line(first))
    assert find(tmp_path, request(7)) == [first, first, second]


@pytest.mark.parametrize("name", ["", "nope", '"', '","at":', "\udcff", "x" * 10_000, "req-00000"])
def test_what_is_no_ones_id_finds_nothing(tmp_path: Path, name: str) -> None:
    filled(tmp_path, range(10))
    assert find(tmp_path, name) == []


@pytest.mark.parametrize("block", [1, 7, 64, 1000, 4096])
def test_block_borders_are_nowhere_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    filled(tmp_path, range(5), range(5, 8))
    monkeypatch.setattr(reader, "_BLOCK", block)
    assert numbers(tmp_path) == list(reversed(range(8)))
    assert numbers(tmp_path, newest_first=False) == list(range(8))
    assert [len(find(tmp_path, request(number))) for number in range(9)] == [1] * 8 + [0]
    assert stats(tmp_path).records == 8


@given(data=st.data(), block=st.integers(1, 3000))
@settings(max_examples=60, deadline=None)
def test_torn_and_foreign_lines_cost_no_whole_one(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, block: int
) -> None:
    """Invariant: of any bytes, exactly the lines that end and hold a record are given, whichever way one reads."""
    folder = tmp_path_factory.mktemp("log")
    junk = st.one_of(
        st.binary(max_size=80).map(lambda raw: raw.replace(b"\n", b"")),
        st.sampled_from([b"{}", b"[]", b"null", b'{"id":"x","at":1}', b"\xff\xfe", b"\r", line(record(3))[:50]]),
    )
    kept: list[int] = []
    content = b""
    for number in range(data.draw(st.integers(0, 8))):
        if data.draw(st.booleans()):
            content += data.draw(junk) + b"\n"
        content += line(record(number))
        kept.append(number)
    torn = line(record(99))
    content += torn[: data.draw(st.integers(0, len(torn) - 1))]
    segment(folder, 0, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK", block)
        assert numbers(folder, newest_first=False) == kept
        assert numbers(folder) == kept[::-1]
        assert all(len(find(folder, request(number))) == 1 for number in kept)


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("log")
    segment(folder, 0, content)
    assert list(iterate(folder)) == list(iterate(folder, newest_first=False)) == []
    stats(folder)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_broken_file_without_ends_of_lines_fills_no_memory(tmp_path: Path, *, newest_first: bool) -> None:
    path = segment(tmp_path, 0, line(record(1)))
    with path.open("ab") as file:
        for _ in range(32):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n" + line(record(2)))
    tracemalloc.start()
    try:
        found = [one.id for one in iterate(tmp_path, newest_first=newest_first)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sorted(found) == [request(1), request(2)]
    assert peak < 16 * 1024 * 1024  # of 32


def test_a_file_that_is_pruned_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    filled(tmp_path, range(10), range(10, 20))
    records = iterate(tmp_path)
    assert next(records).id == request(19)
    for path in tmp_path.iterdir():
        path.unlink()
    assert [int(found.id[4:]) for found in records] == list(range(18, 9, -1))


def test_stats_count_records_and_what_is_known_to_be_lost(tmp_path: Path) -> None:
    lost = orjson.dumps({"event": "dropped", "records": 5}) + b"\n"
    segment(tmp_path, 0, line(record(1)) + lost + line(record(2)))
    segment(tmp_path, 1, lost + line(record(3)))
    found = stats(tmp_path)
    assert (found.files, found.records, found.dropped) == (2, 3, 10)
    assert (found.oldest, found.newest) == (BEGAN + 1, BEGAN + 3)
    assert found.size == sum(path.stat().st_size for path in tmp_path.iterdir())
