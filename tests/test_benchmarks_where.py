"""Workload w of tests/benchmarks: whose a look of py-spy is, and what is said of a press."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from policies.json import as_object
from tests.benchmarks import house
from tests.benchmarks.spy import Look
from tests.benchmarks.workloads.where import View
from tests.budget.counter import CALLER, THREAD
from tests.system.process import ROOT

BASE = "thread (7): MainThread;run (/repo/edge/cli/up.py:56);Runner.run (/usr/lib/python3.11/asyncio/runners.py:86)"
LIBRARY = "/repo/.venv/lib/python3.11/site-packages"


def looks(*frames: str, times: int = 1, base: str = BASE) -> str:
    return f"{';'.join((base, *frames))} {times}"


def test_every_package_and_file_of_the_line_has_a_part() -> None:
    for package in ("edge", "engines", "observability", "policies"):
        for path in (ROOT / package).rglob("*.py"):
            assert house.part_of(str(path.relative_to(ROOT))) in house.PARTS


def test_each_part_is_made_of_files_that_are_there() -> None:
    for places in house.FOLDERS.values():
        for place in places:
            assert place == "aiohttp/" or (ROOT / place).exists(), place


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("edge/relay/relay.py", "relay"),
        ("edge/dialects/anthropic/answer.py", "relay"),
        ("edge/dialects/anthropic/request.py", "intake"),
        ("engines/wire.py", "engine"),
        ("engines/catalogue.py", "catalogue"),
        ("policies/input.py", "policy"),
        ("policies/exchange.py", "pipeline"),
        ("edge/gateway.py", "pipeline"),
        ("edge/cli/up.py", house.LOOP),
        ("aiohttp/streams.py", "listener"),
        ("json/decoder.py", ""),
    ],
)
def test_a_file_belongs_to_the_part_that_names_it_best(path: str, part: str) -> None:
    assert house.part_of(path) == part


def test_a_look_is_that_of_the_innermost_function_of_ours() -> None:
    line = "Line._walk (/repo/edge/pipeline.py:118)"
    relay = "Leg.run (/repo/edge/relay/relay.py:97)"
    timeout = "timeout (/usr/lib/python3.11/asyncio/timeouts.py:129)"
    found = house.seen([looks(line, times=2), looks(line, relay, times=3), looks(line, relay, timeout)], "/repo")
    assert found.parts == {"pipeline": 2, "relay": 4}
    assert found.functions == {
        ("edge/pipeline.py: Line._walk", "pipeline"): 2,
        ("edge/relay/relay.py: Leg.run", "relay"): 3,
        ("asyncio/timeouts.py: timeout", "relay"): 1,
    }
    assert found.looks == 6


def test_what_nobody_of_ours_runs_is_the_loops() -> None:
    reader = f"StreamReader.feed_data ({LIBRARY}/aiohttp/streams.py:300)"
    found = house.seen([looks(times=4), looks(reader, times=2), "thread (7): MainThread 1"], "/repo")
    assert found.parts == {house.LOOP: 5, "listener": 2}
    assert found.functions == {
        ("asyncio/runners.py: Runner.run", house.LOOP): 4,
        ("aiohttp/streams.py: StreamReader.feed_data", "listener"): 2,
    }


def test_looks_at_other_threads_say_nothing() -> None:
    """Those that wait are seen running when they were only woken to be looked at: their time is measured instead."""
    waiting = "thread (8): ledger;Writer._take (/repo/edge/ledger/writer.py:186) 50"
    assert house.seen([waiting], "/repo").looks == 0


def test_a_name_that_is_no_function_in_a_file_is_taken_as_it_is() -> None:
    built = "__create_fn__.<locals>.__init__ (<string>:2)"
    found = house.seen([looks("Verdict (of) (/repo/policies/decision.py:5)", built), looks("<native>")], "/repo")
    assert found.parts == {"policy": 1, house.LOOP: 1}
    assert found.functions == {
        ("<string>: __create_fn__.<locals>.__init__", "policy"): 1,
        ("<native>", house.LOOP): 1,
    }


def test_an_installed_gateway_has_the_same_parts() -> None:
    found = house.seen([looks(f"Leg.run ({LIBRARY}/edge/relay/relay.py:97)")], "/elsewhere")
    assert found.parts == {"relay": 1}


def test_instructions_of_a_library_are_those_of_who_called_it() -> None:
    counted = {
        "edge/relay/relay.py:Leg.run": [10, 1],
        f"dataclasses.py:replace{CALLER}edge/policy/enforcement.py": [5, 1],
        f"aiohttp/streams.py:feed_data{CALLER}edge/cli/up.py": [3, 0],
        f"asyncio/locks.py:Lock.acquire{CALLER}edge/cli/up.py": [2, 0],
        "asyncio/events.py:Handle._run": [1, 0],
        f"edge/ledger/writer.py:Writer._take {THREAD}": [7, 0],
        f"queue.py:get{CALLER}edge/ledger/writer.py {THREAD}": [1, 0],
    }
    expected = {"relay": 10, "policy": 5, "listener": 3, house.LOOP: 3, house.THREADS: 8}
    assert house.instructions(counted) == expected


def test_a_press_is_told_part_by_part() -> None:
    seen = house.Seen(Counter({"relay": 30, house.LOOP: 10}), Counter({("a: b", "relay"): 20, ("c: d", "relay"): 10}))
    view = View({"cpu_us": 500.0}, seen, 0.8, "")
    rows = {str(row["part"]): row for row in map(as_object, view.parts(Counter({"relay": 900})))}
    assert rows["relay"] == {"part": "relay", "%": 60.0, "µs": 300.0, "instructions": 900}
    assert rows[house.LOOP] == {"part": house.LOOP, "%": 20.0, "µs": 100.0, "instructions": 0}
    assert rows[house.THREADS] == {"part": house.THREADS, "%": 20.0, "µs": 100.0, "instructions": 0}
    assert rows["all"] == {"part": "all", "%": 100.0, "µs": 500.0, "instructions": 900}
    assert view.functions(1) == [{"function": "a: b", "part": "relay", "%": 40.0, "µs": 200.0}]


def test_where_nothing_was_seen_there_are_still_instructions() -> None:
    view = View({"cpu_us": 500.0}, house.Seen(), 0.0, "py-spy saw nothing")
    rows = [as_object(row) for row in view.parts(Counter({"relay": 900}))]
    assert {row["%"] for row in rows} == {None}
    assert [row["instructions"] for row in rows if row["instructions"]] == [900, 900]
    assert view.functions(5) == []


def test_where_nothing_was_counted_there_are_no_instructions() -> None:
    """Python 3.12 does not report them."""
    seen = house.Seen(Counter({"relay": 1}), Counter({("a: b", "relay"): 1}))
    assert {as_object(row)["instructions"] for row in View({}, seen, 1.0, "").parts(Counter())} == {None}


def test_a_process_that_may_not_be_looked_at_is_said_in_a_line(tmp_path: Path) -> None:
    with (
        subprocess.Popen(("cat",), stdin=subprocess.PIPE) as other,  # no Python runs in it
        Look(other.pid, tmp_path / "stacks", "--format", "raw", rate=10, seconds=60) as look,
    ):
        look.begin()
        problem = look.end()
    assert problem.startswith("py-spy saw nothing: ")
    assert "\n" not in problem


def test_without_py_spy_a_look_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with Look(os.getpid(), tmp_path / "stacks", rate=10, seconds=1) as look:
        look.begin()
        assert "py-spy is missing" in look.end()
