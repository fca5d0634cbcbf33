"""Of tests/benchmarks, which `make test` leaves out: its pure parts, its page, and that its Go programs get on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from policies.json import JSON, Object, as_object
from tests.benchmarks import __main__ as command
from tests.benchmarks import goals, page, programs, samples
from tests.benchmarks.contenders import Contender
from tests.benchmarks.origin import Pace, chat, running
from tests.benchmarks.plan import QUICK, Plan, interleaved
from tests.benchmarks.plots import Bar, Line, bars, lines, shown
from tests.benchmarks.readers import Asked, Mixed, holding, listen
from tests.benchmarks.sections import SECTIONS, tables


def contender(name: str) -> Contender:
    return Contender(name, 0, "", lambda: 0)


def row(name: str, *, setting: Object | None = None, **groups: dict[str, float]) -> Object:
    """A row with medians."""
    spreads: dict[str, JSON] = {group: samples.summary([taken]) for group, taken in groups.items()}
    return {"contender": name, **(setting or {}), **spreads}


def document(**workloads: list[Object]) -> Object:
    """One of a run that measured these rows."""
    return {"workloads": {letter: {"rows": [*rows]} for letter, rows in workloads.items()}}


# -- what rounds amount to ---------------------------------------------------------------------------------------------


def test_ratios_and_differences_are_made_within_a_round() -> None:
    """The machine was half as fast in the second round; the ratio does not know."""
    taken = {
        "direct": [{"per_second": 100.0, "p50_ms": 1.0}, {"per_second": 50.0, "p50_ms": 2.0}],
        "nginx": [{"per_second": 80.0, "p50_ms": 1.5}, {"per_second": 40.0, "p50_ms": 3.0}],
        "gateway": [{"per_second": 20.0, "p50_ms": 2.0}, {"per_second": 10.0, "p50_ms": 3.0}],
    }
    gateway = samples.rows(taken, {"connections": 1})[2]
    assert gateway["contender"] == "gateway"
    assert gateway["connections"] == 1
    assert as_object(gateway["ratio"])["per_second"] == {"median": 0.25, "min": 0.25, "max": 0.25}
    assert as_object(gateway["added"])["p50_ms"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert as_object(gateway["measures"])["per_second"] == {"median": 15.0, "min": 10.0, "max": 20.0}


def test_a_measure_that_a_round_lacks_is_left_out_of_that_round_only() -> None:
    found = samples.summary([{"a": 1.0}, {"a": 3.0, "b": 5.0}])
    assert found == {"a": {"median": 2.0, "min": 1.0, "max": 3.0}, "b": {"median": 5.0, "min": 5.0, "max": 5.0}}


def test_nothing_is_compared_where_the_control_found_nothing() -> None:
    rows = samples.rows({"nginx": [{"per_second": 0.0}], "gateway": [{"per_second": 5.0}]}, {})
    assert rows[1]["ratio"] == {}
    assert "added" not in rows[1]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], 0.0),
        ([(1.0, 5.0)], 0.0),
        ([(1.0, 5.0), (1.0, 9.0)], 0.0),
        ([(0.0, 7.0), (10.0, 7.0), (20.0, 7.0)], 0.0),
        ([(0.0, 1.0), (10.0, 3.0), (20.0, 5.0)], 0.2),
        ([(0.0, 1.0), (10.0, 4.0), (20.0, 1.0)], 0.0),
    ],
)
def test_slope(points: list[tuple[float, float]], expected: float) -> None:
    assert samples.slope(points) == pytest.approx(expected)


def test_each_round_begins_with_another_contender() -> None:
    order: list[str] = []

    def measure(each: Contender) -> dict[str, float]:
        order.append(each.name)
        return {"at": float(len(order))}

    taken = interleaved([contender(name) for name in "abc"], 3, measure)
    assert "".join(order) == "abcbcacab"
    assert taken["a"] == [{"at": 1.0}, {"at": 6.0}, {"at": 8.0}]


# -- goals -------------------------------------------------------------------------------------------------------------


def verdict(what: str, found: Object) -> goals.Verdict:
    return next(each for each in goals.verdicts(found) if each.goal.what == what)


def test_a_goal_is_met_missed_or_not_measured() -> None:
    what = "32 connections, to nginx"
    for ratio, met in ((0.12, True), (0.119, False)):
        rows = [row("gateway", setting={"connections": 32}, ratio={"per_second": ratio})]
        assert verdict(what, document(a=rows)).met is met
    elsewhere = [row("gateway", setting={"connections": 1}, ratio={"per_second": 0.5})]
    assert verdict(what, document(a=elsewhere)).met is None
    assert verdict(what, document()).found is None


def test_a_goal_over_a_peer_needs_the_peer() -> None:
    what = "32 connections, to LiteLLM"
    setting: Object = {"connections": 32}
    ours = row("gateway", setting=setting, measures={"per_second": 3000.0})
    theirs = row("litellm", setting=setting, measures={"per_second": 40.0})
    assert verdict(what, document(a=[ours])).met is None
    found = verdict(what, document(a=[ours, theirs]))
    assert (found.found, found.met) == (75.0, False)


def test_what_the_machine_cannot_show_is_not_judged() -> None:
    what = "2 workers, to 1"
    for processors, met in ((2, None), (4, False)):
        rows = [row("2", setting={"processors": processors}, ratio={"per_second": 1.2})]
        assert verdict(what, document(i=rows)).met is met


def test_each_goal_asks_for_what_its_workload_shows() -> None:
    """Else it would never be measured, and nobody would see why."""
    for goal in goals.GOALS:
        paths = {column.path for column in SECTIONS[goal.workload].columns}
        assert goal.path in paths, goal.what
        assert (goal.least is None) != (goal.most is None), goal.what
    assert {goal.what for goal in goals.GOALS} >= set(goals.WHY)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_and_its_plots_are_those_of_the_document() -> None:
    """`python -m tests.benchmarks.page docs/benchmarks.json` makes them so."""
    found = page.read(page.DOCUMENT)
    assert page.PAGE.read_text(encoding="utf-8") == page.text(found)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in page.IMAGES.glob("bench-*.svg")}
    assert drawn == page.pictures(found)


def ran(**workloads: list[Object]) -> Object:
    """The whole document of a run."""
    machine: Object = {"processor": "p", "processors": 2, "memory_gib": 8, "system": "s", "placed": "nothing is placed"}
    told: Object = {"date": "2026-11-22", "command": "make bench", "seconds": 60, "rounds": 1, "round_seconds": 2.0}
    return {**told, "machine": machine, "programs": {"nginx": "1.22.1", "redis": None}, **document(**workloads)}


def test_a_document_without_most_workloads_has_a_page() -> None:
    rows = samples.rows({"gateway": [{"held": 500.0, "kib_each": 44.8}]}, {})
    found = ran(e=rows)
    text = page.text(found)
    assert "## e. Idle streams" in text
    assert "| gateway | 500 | - | 44.8 | - |" in text
    assert "| e: an idle stream | ≤ 40 KiB | 44.8 KiB | missed |" in text
    assert "not measured" in text
    assert "nginx 1.22.1" in text
    assert "redis" not in text
    assert page.pictures(found) == {}


def test_workloads_that_a_document_lacks_come_from_the_next() -> None:
    first: Object = {"date": "1", "workloads": {"b": {"rows": []}}}
    second: Object = {"date": "2", "workloads": {"a": {"rows": []}, "b": {"rows": [row("x")]}}}
    workloads: Object = {"a": {"run": {"date": "2"}, "rows": []}, "b": {"rows": []}}
    merged = page.merged([first, second])
    assert merged == {"date": "1", "workloads": workloads}
    assert page.merged([{"date": "3", "workloads": {}}, merged])["workloads"] == {
        "a": {"run": {"date": "2"}, "rows": []},
        "b": {"run": {"date": "1"}, "rows": []},
    }


def test_a_page_of_several_documents_says_how_each_was_made() -> None:
    soak: Object = ran(j=[]) | {"command": 'make bench ARGS="--only j"', "date": "2026-11-23", "rounds": 5}
    text = page.text(page.merged([ran(e=[]), soak, ran(b=[]) | {"command": 'make bench ARGS="--only b"'}]))
    block = text[text.index("```console") : text.index('`make bench ARGS="--quick"`')]
    assert block.splitlines()[1:4] == [
        '$ make bench ARGS="--only b"  # b',
        "$ make bench  # e",
        '$ make bench ARGS="--only j"  # j',
    ]
    section = text[text.index("## j. Soak") :]
    assert "From a run of its own: 2026-11-23, 5 rounds of 2 s; nginx 1.22.1." in section
    assert "From a run of its own" not in text[text.index("## e.") : text.index("## j.")]


def test_a_whole_run_keeps_the_soak_that_was_on_the_same_machine() -> None:
    earlier = page.merged([ran(a=[row("x")]) | {"date": "1"}, ran(j=[row("hour")]) | {"date": "0"}])
    kept = as_object(page.with_soak(ran(b=[]), earlier)["workloads"])
    assert list(kept) == ["b", "j"]
    assert as_object(as_object(kept["j"])["run"])["date"] == "0"
    assert as_object(kept["j"])["rows"] == [row("hour")]
    assert page.with_soak(ran(j=[]), earlier)["workloads"] == ran(j=[])["workloads"]
    elsewhere = earlier | {"machine": as_object(earlier["machine"]) | {"processors": 8}}
    assert page.with_soak(ran(b=[]), elsewhere) == ran(b=[])


def test_missed_goals_lead_to_where_the_time_goes() -> None:
    rows = [row("gateway", setting={"connections": 32}, ratio={"per_second": 0.03})]
    link = "[where the time goes](#w-where-the-time-goes)"
    assert link not in page.text(ran(a=rows))
    text = page.text(ran(a=rows, w=[]))
    assert "* **32 connections, to nginx**, **32 connections, to nginx: go for**: a request costs" in text
    assert text.count(link) == 1
    assert "\n## w. Where the time goes\n" in text


def test_the_parts_of_the_house_are_drawn_beside_each_other() -> None:
    parts: list[JSON] = [{"part": "relay", "%": 30.0}, {"part": "queue", "%": 2.0}, {"part": "all", "%": 100.0}]
    functions: list[JSON] = [{"function": "a: b", "part": "relay", "%": 12.0}]
    workload: Object = {
        "rows": [],
        "parts": {"Whole chats, 32": parts, "Whole chats, 32: functions": functions, "Streams, 200": parts},
    }
    drawn = page.pictures({"workloads": {"w": workload}})["bench-w-parts.svg"]
    said = list(ET.fromstring(drawn).itertext())  # noqa: S314 - our own
    assert {"Whole chats", "Streams", "relay", "queue"} <= set(said)
    assert not {"all", "12"} & set(said)
    unseen: Object = {"parts": {"Whole chats, 32": [{"part": "relay", "%": None, "instructions": 5}]}}
    assert page.pictures({"workloads": {"w": unseen}}) == {}


def test_a_table_shows_what_there_is() -> None:
    rows = samples.rows({"gateway": [{"per_second": 1234.0}, {"per_second": 2345.0}]}, {"connections": 1})
    _, names, cells = tables("a", {"rows": [*rows]})[0]
    shown_cells = dict(zip(names, cells[0], strict=True))
    assert shown_cells["requests/s"] == "1,790 (1,234 to 2,345)"
    assert shown_cells["to nginx"] == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00123, "0.0012"), (0.5, "0.5"), (7.129, "7.13"), (99.96, "100"), (12345.6, "12,346")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert shown(value) == text


def test_plots_are_drawings_with_every_contender() -> None:
    for picture in (
        bars("a & b", [("1", [Bar("<x>", 5.0, 4.0, 6.0), Bar("y", 0.0, 0.0, 0.0)]), ("2", [Bar("y", 5e4, 1.0, 6e4)])]),
        lines("a & b", ["50 %", "99 %"], [Line("<x>", (0.1, 20.0)), Line("y", (0.0, 0.0))]),
    ):
        said = list(ET.fromstring(picture).itertext())  # noqa: S314 - our own
        assert {"a & b", "<x>", "y"} <= set(said)
    assert "none" in bars("none", [])


# -- the programs in Go ------------------------------------------------------------------------------------------------


def test_the_programs_pass_their_own_tests() -> None:
    done = subprocess.run(
        ("go", "test", "./..."),
        cwd=programs.SOURCES,
        env=programs.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_reader_hears_what_the_engine_says() -> None:
    tokens = 5
    with running(Pace.EXACT) as port:
        asked = Asked(port, "k", chat(stream=True, max_tokens=tokens), tokens)
        mixed = Mixed(chat(), whole_every=3, leave_every=4)
        began: list[bool] = []
        heard = listen(asked, streams=4, warm=0.1, seconds=1.0, between=lambda: began.append(True), mixed=mixed)
    assert (heard.errors, heard.problem, began) == (0, "", [True])
    assert heard.events > tokens
    assert heard.done > 0
    assert all(value >= 0 for value in heard.taken().values())


def test_a_workload_that_fails_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_plan: Plan, _folder: Path) -> Object:
        raise OSError("no such program")

    monkeypatch.setattr(programs, "build", lambda: None)
    monkeypatch.setattr(command, "WORKLOADS", {"a": lambda *_: {"rows": [], "notes": []}, "b": fails})
    document = command.run(QUICK, ["b", "a"], "make bench")
    assert list(as_object(document["workloads"])) == ["a"]
    assert document["failed"] == {"b": "OSError"}
    assert command.wrong(document)
    assert not command.wrong(document | {"failed": {}})


def test_the_reader_says_what_was_wrong() -> None:
    with running(Pace.EXACT) as port:
        short = listen(Asked(port, "k", chat(stream=True, max_tokens=2), 3), streams=1, warm=0.0, seconds=0.3)
        missing = listen(Asked(port, "k", chat(), path="/none"), streams=1, warm=0.0, seconds=0.2)
    assert short.errors > 0
    assert "after 2 tokens" in short.problem
    assert "404" in missing.problem


def test_streams_are_held_until_they_are_let_go() -> None:
    with running(Pace.HOLD) as port:
        with holding(Asked(port, "k", chat(stream=True)), streams=20, rate=1000.0) as held:
            assert (held.open, held.failed, held.problem) == (20, 0, "")
        assert held.lost == 0
    with running(Pace.EXACT) as port, holding(Asked(port, "k", chat()), streams=3, rate=1000.0) as held:
        assert (held.open, held.failed) == (0, 3)
