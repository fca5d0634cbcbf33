"""Writes docs/benchmarks.md and docs/images/bench-*.svg: `python -m tests.benchmarks.page FILE.json [MORE.json ...]`.

Workloads that the first document lacks are taken from the others, e.g. a soak of another day, each with `run`: what is
said of its own document. All of them together become docs/benchmarks.json, so that a test can hold the page against it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.benchmarks import goals, house, report, samples
from tests.benchmarks.plots import Bar, Line, bars, lines
from tests.benchmarks.sections import SECTIONS, tables
from tests.system.process import ROOT
from tests.system.wire import loads

PAGE: Final = ROOT / "docs" / "benchmarks.md"
DOCUMENT: Final = ROOT / "docs" / "benchmarks.json"
IMAGES: Final = ROOT / "docs" / "images"
SOAK: Final = "j"
_INTRODUCTION: Final = """# What the gateway costs, and how that was measured

<!-- Written by `python -m tests.benchmarks.page`: change that. -->

One run measures every contender in turn, several times over, in front of the same engine: **direct** (no gateway),
**nginx** (one worker, plain `proxy_pass` with keep-alive, an access log), the **gateway** with everything on, and the
peers that `make bench-peers` has installed. *Everything on* means for each request: a key, a decision by the embedded
policy engine with a grant, limits in four windows that count and are never reached, the ledger on disk (SQLite),
metrics, an access line, one trace in a hundred to a collector.

Each figure is the median of {rounds} rounds of {seconds} s, with the smallest and the largest in brackets where they
matter; ratios to nginx and what is *added* to the direct way are made within a round. Absolute numbers are this
machine's; the ratios say more. The load, the engine and the contender share its {processors} processors: {placed}.

What is left out: the network, TLS, and the engine's own time. The engine is a small program in Go
(`tests/benchmarks/go/engine`), never the bottleneck (see *direct*). Callers are `wrk` for whole answers, and for
streams a reader in Go (`tests/benchmarks/go/reader`).

## Doing it again

```console
{commands}
```

`make bench ARGS="--quick"` takes some minutes, `ARGS="--only a,b"` measures some workloads, `ARGS="--soak"` adds an
hour of everything. It needs nginx, wrk, Go and Redis. The document behind it: [benchmarks.json](benchmarks.json).
"""
_RUN: Final = ("command", "date", "rounds", "round_seconds", "programs")
"""What is said of a document of which only some workloads are taken."""
_QUICK: Final = """**A quick run: it shows that everything is measured. Its figures are no figures to quote.**
"""


def main(argv: Sequence[str]) -> int:
    """Write the page; exit code 2 without a document."""
    if not argv:
        sys.stderr.write("usage: python -m tests.benchmarks.page FILE.json [MORE.json ...]\n")
        return 2
    write(merged([read(Path(name)) for name in argv]))
    return 0


def read(path: Path) -> Object:
    """A document."""
    return loads(path.read_text(encoding="utf-8"))


def merged(documents: Sequence[Object]) -> Object:
    """The first one, with the workloads that it lacks from the others, and how those were measured."""
    first, *others = documents
    workloads = as_object(first["workloads"])
    for document in others:
        run: Object = {name: document[name] for name in _RUN if name in document}
        found = {letter: {"run": run, **as_object(each)} for letter, each in as_object(document["workloads"]).items()}
        workloads = {**found, **workloads}
    ordered: Object = {letter: workloads[letter] for letter in SECTIONS if letter in workloads}
    return {**first, "workloads": ordered}


def with_soak(document: Object, earlier: Object) -> Object:
    """A whole run takes no hour more: it keeps the soak that the page has, if that was on the same machine."""
    soak = as_object(earlier["workloads"]).get(SOAK)
    if soak is None or document["machine"] != earlier["machine"]:
        return document
    return merged([document, {**earlier, "workloads": {SOAK: soak}}])


def write(document: Object) -> None:
    """The page, its plots and the document, in docs/."""
    IMAGES.mkdir(exist_ok=True)
    plots = pictures(document)
    for old in IMAGES.glob("bench-*.svg"):
        if old.name not in plots:
            old.unlink()
    for name, picture in plots.items():
        (IMAGES / name).write_text(picture, encoding="utf-8")
    DOCUMENT.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(text(document), encoding="utf-8")


def text(document: Object) -> str:
    """The page."""
    machine = as_object(document["machine"])
    plots = pictures(document)
    parts = [
        _INTRODUCTION.format(
            rounds=document["rounds"],
            seconds=f"{samples.number(document['round_seconds']) or 0:g}",
            processors=machine["processors"],
            placed=machine["placed"],
            commands=_commands(document),
        ),
        *([_QUICK] if document.get("quick") else []),
        _machine(document),
        _goals(document),
    ]
    for letter, workload in as_object(document["workloads"]).items():
        parts.append(
            _section(letter, as_object(workload), [name for name in plots if name.startswith(f"bench-{letter}-")])
        )
    return "\n".join(parts)


def _commands(document: Object) -> str:
    """Those of all runs that the document is made of, each with what it measured, if they are several."""
    made: dict[str, list[str]] = {}
    for letter, workload in as_object(document["workloads"]).items():
        run = as_object(as_object(workload).get("run"))
        made.setdefault(as_str(run.get("command", document["command"])), []).append(letter)
    if len(made) < 2:
        return f"$ {document['command']}"
    return "\n".join(f"$ {command}  # {', '.join(letters)}" for command, letters in made.items())


def _versions(programs: Object) -> str:
    return ", ".join(f"{name} {version}" for name, version in programs.items() if version)


def _machine(document: Object) -> str:
    machine, programs = as_object(document["machine"]), as_object(document["programs"])
    rows = [
        ["date", as_str(document["date"])],
        ["machine", f"{machine['processor']}, {machine['processors']} processors, {machine['memory_gib']} GiB"],
        ["system", as_str(machine["system"])],
        ["versions", _versions(programs)],
        ["took", f"{(samples.number(document['seconds']) or 0) / 60:.0f} min"],
    ]
    return "## Where and with what\n\n" + report.markdown(["", ""], rows) + "\n"


def _goals(document: Object) -> str:
    found = goals.verdicts(document)
    names, rows = report.judged(found)
    missed = [verdict for verdict in found if verdict.met is False]
    because: dict[str, list[str]] = {}
    for verdict in missed:
        if verdict.goal.what in goals.WHY:
            because.setdefault(goals.WHY[verdict.goal.what], []).append(verdict.goal.what)
    profile = f"; [where the time goes]({_anchor('w')})" if "w" in as_object(document["workloads"]) else ""
    why = [f"* **{'**, **'.join(missing)}**: {reason}{profile}" for reason, missing in because.items()]
    return "\n".join(("## Goals, met and missed\n", report.markdown(names, rows), *(["", *why] if why else []), ""))


def _title(letter: str) -> str:
    return f"{letter}. {SECTIONS[letter].title}"


def _anchor(letter: str) -> str:
    """Of a section, as GitHub makes it of the title."""
    return "#" + _title(letter).lower().replace(".", "").replace(",", "").replace(" ", "-")


def _section(letter: str, workload: Object, plots: Sequence[str]) -> str:
    section = SECTIONS[letter]
    parts = [f"## {_title(letter)}", section.text, *_own_run(as_object(workload.get("run")))]
    parts += [f"![{section.title}](images/{name})" for name in plots]
    for caption, names, rows in tables(letter, workload):
        parts += [*([f"**{caption}**"] if caption else []), report.markdown(names, rows)]
    parts += [f"* {note}" for note in map(as_str, as_list(workload.get("notes")))]
    return "\n\n".join(parts) + "\n"


def _own_run(run: Object) -> list[str]:
    """What to say of a workload that the page's first document did not have."""
    if not run:
        return []
    rounds, seconds = run.get("rounds", "?"), samples.number(run.get("round_seconds")) or 0
    with_what = _versions(as_object(run.get("programs")))
    return [f"From a run of its own: {run.get('date', '?')}, {rounds} rounds of {seconds:g} s; {with_what}."]


def pictures(document: Object) -> Mapping[str, str]:
    """The plots of what was measured, by the names of their files."""
    workloads = as_object(document["workloads"])
    found = {
        "bench-a-requests.svg": _bars(
            workloads, "a", "connections", "measures.per_second", "Requests per second, by connections"
        ),
        "bench-a-latency.svg": _bars(
            workloads, "a", "connections", "measures.p99_ms", "p99 of a small chat, ms, by connections"
        ),
        "bench-b-transit.svg": _transits(workloads),
        "bench-b-processor.svg": _bars(
            workloads, "b", "streams", "measures.cpu_us", "Processor time per token, µs, by streams"
        ),
        "bench-h-memory.svg": _bars(workloads, "h", "", "measures.loaded_mib", "Resident memory under load, MiB"),
        "bench-j-soak.svg": _soak(workloads),
        "bench-w-parts.svg": _parts(workloads),
    }
    return {name: picture for name, picture in found.items() if picture}


def _bars(workloads: Object, letter: str, by: str, path: str, title: str) -> str:
    """A group of bars per value of the member `by`; "" where nothing was measured."""
    groups: dict[str, list[Bar]] = {}
    group, _, name = path.partition(".")
    for row in map(as_object, as_list(as_object(workloads.get(letter)).get("rows"))):
        found = as_object(as_object(row.get(group)).get(name))
        numbers = [samples.number(found.get(part)) for part in ("median", "min", "max")]
        value, low, high = numbers
        if value is not None and low is not None and high is not None:
            groups.setdefault(_spelled(row.get(by)), []).append(Bar(as_str(row["contender"]), value, low, high))
    return bars(title, list(groups.items())) if groups else ""


def _spelled(value: JSON) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _transits(workloads: Object) -> str:
    """How long tokens of 200 streams are under way, by percentile; "" where that was not measured."""
    listed = [as_object(row) for row in as_list(as_object(workloads.get("b")).get("rows"))]
    curves: list[Line] = []
    places: list[str] = []
    for row in listed:
        points = [as_list(point) for point in as_list(row.get("transit"))]
        shares = [(samples.number(at) or 0.0, samples.number(value) or 0.0) for at, value in points]
        if row.get("streams") == 200 and shares:
            places = [f"{at:g} %" for at, _ in shares]
            curves.append(Line(as_str(row["contender"]), tuple(value for _, value in shares)))
    return (
        lines("200 streams: how long a token is under way, ms, by share of all tokens", places, curves)
        if curves
        else ""
    )


def _parts(workloads: Object) -> str:
    """The share of each part of the house in each press; "" where py-spy saw nothing."""
    groups: dict[str, list[Bar]] = {}
    for press, rows in as_object(as_object(workloads.get("w")).get("parts")).items():
        for row in map(as_object, as_list(rows)):
            share = samples.number(row.get("%"))
            if row.get("part") in house.PARTS and "function" not in row and share is not None:
                name = press.partition(",")[0]
                groups.setdefault(as_str(row["part"]), []).append(Bar(name, share, share, share))
    title = "Processor time of the gateway, % by part of the house"
    return bars(title, list(groups.items()), shares=True) if groups else ""


def _soak(workloads: Object) -> str:
    """Memory and descriptors over the time; "" without a soak."""
    points = [as_list(point) for point in as_list(as_object(workloads.get("j")).get("points"))]
    numbers = [[samples.number(value) or 0.0 for value in point] for point in points]
    if not numbers:
        return ""
    shown = numbers[:: max(1, len(numbers) // 12)]
    curves = [
        Line("MiB", tuple(point[1] for point in shown)),
        Line("descriptors", tuple(point[2] for point in shown)),
    ]
    return lines(
        "Soak: resident memory and descriptors, by minutes", [f"{point[0] / 60:.2g}" for point in shown], curves
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
