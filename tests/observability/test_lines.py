"""Lines arrive whole and in order, never block, and what is lost is counted."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import orjson
import pytest

from observability import lines
from observability.lines import LineWriter
from policies.json import Object


def written(path: Path) -> list[Object]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_every_line_is_there_in_order_once_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    writer = LineWriter(path)
    for number in range(5000):
        writer.write({"n": number})
    writer.close()
    assert [line["n"] for line in written(path)] == list(range(5000))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_CAPACITY", 3)
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    path = tmp_path / "access.log"
    writer = LineWriter(path)
    for number in range(10):
        writer.write({"n": number})
    writer._write_waiting()
    writer._out.close()
    assert written(path) == [{"n": 0}, {"n": 1}, {"n": 2}, {"event": "dropped", "lines": 7}]


def test_an_output_that_takes_nothing_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer = LineWriter(path)
    for number in range(lines._CAPACITY * 2):
        writer.write({"n": number, "pad": "x" * 100})
    os.close(reader)
    writer.close()


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    for number in range(2):
        writer = LineWriter(path)
        writer.write({"n": number})
        writer.close()
    assert written(path) == [{"n": 0}, {"n": 1}]


def test_a_line_that_is_no_json_costs_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    writer = LineWriter(path)
    writer.write({"n": 0})
    writer.write({"bad": "\udcff"})
    writer.write({"worse": 2**70})
    writer.write({"n": 1})
    writer.close()
    assert written(path) == [{"n": 0}, {"n": 1}, {"event": "dropped", "lines": 2}]
