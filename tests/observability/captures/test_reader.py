"""Captures are found, listed and purged, also while they are written."""

from __future__ import annotations

import math
from pathlib import Path

from observability.captures.reader import find, newest, purge
from observability.decisions.segments import listing
from policies.json import as_str
from tests.observability.captures.asked import exchange, opened
from tests.observability.decisions.records import until


def ids(folder: Path) -> list[int]:
    return [int(as_str(each["id"]), 16) for each in newest(folder, 100)]


def test_an_unknown_request_and_no_folder_are_nothing(tmp_path: Path) -> None:
    assert find(tmp_path / "none", "a" * 32) is None
    assert newest(tmp_path / "none", 5) == []
    assert purge(tmp_path / "none", math.inf) == 0


def test_the_newest_come_first_over_all_files_and_without_text(tmp_path: Path) -> None:
    for number in (1, 3, 2):
        with opened(tmp_path) as log:
            log.ended(exchange(number), float(number))
    assert ids(tmp_path) == [3, 2, 1]
    assert [int(as_str(each["id"]), 16) for each in newest(tmp_path, 2)] == [3, 2]
    assert all(each.keys() == {"id", "at", "capture", "record"} for each in newest(tmp_path, 5))


def test_a_purge_takes_what_is_older_also_from_a_file_that_is_being_written(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for number in range(1, 6):
            log.ended(exchange(number), float(number))
        until(lambda: len(ids(tmp_path)) == 5)
        assert purge(tmp_path, before=3.0) == 2
        assert ids(tmp_path) == [5, 4, 3]
        assert purge(tmp_path, math.inf, exchange(4).id) == 1
        log.ended(exchange(6), 6.0)
        until(lambda: ids(tmp_path) == [6, 5, 3])
    assert b"%032x" % 1 not in b"".join(each.path.read_bytes() for each in listing(tmp_path, "captures"))
    assert purge(tmp_path, math.inf) == 3
    assert listing(tmp_path, "captures") == []
