"""Measure: `python -m tests.benchmarks [--quick] [--only a,b,...] [--soak] [--rounds N] ...`.

Tables go to stderr as they are made, the document to FILE. A whole run (neither --quick nor --only) writes
docs/benchmarks.json, docs/benchmarks.md and its plots; without --soak it keeps the page's soak of the same machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from policies.json import Object, as_list, as_object, as_str
from tests.benchmarks import goals, machine, nginx, page, programs, report, samples
from tests.benchmarks.plan import FULL, QUICK, Plan
from tests.benchmarks.sections import SECTIONS, tables
from tests.benchmarks.workloads import (
    bodies,
    idle,
    many,
    parts,
    refused,
    soak,
    started,
    streamed,
    translated,
    where,
    whole,
    workers,
)
from tests.system.process import ROOT

WORKLOADS: Final[Mapping[str, Callable[[Plan, Path], Object]]] = {
    "a": whole.measure,
    "b": streamed.measure,
    "c": bodies.measure,
    "d": translated.measure,
    "e": idle.measure,
    "f": many.measure,
    "g": refused.measure,
    "h": started.measure,
    "i": workers.measure,
    "j": soak.measure,
    "w": where.measure,
    "p": parts.measure,
}
_LAST: Final = ROOT / ".cache" / "bench" / "last.json"


def main(argv: Sequence[str]) -> int:
    """Run; exit code 2 when a program is missing, 1 when the gateway answered wrongly."""
    args = _arguments(argv)
    if missing := nginx.missing():
        sys.stderr.write(f"{missing}\n")
        return 2
    plan = QUICK if args.quick else FULL
    plan = replace(plan, rounds=args.rounds or plan.rounds, seconds=args.seconds or plan.seconds)
    if args.soak:
        plan = replace(plan, soak=args.soak * 60)
    letters = args.only or [letter for letter in WORKLOADS if letter != page.SOAK]
    if args.soak and page.SOAK not in letters:
        letters.append(page.SOAK)
    whole_run = not (args.quick or args.only)
    target = args.json or (page.DOCUMENT if whole_run else _LAST)
    document = run(plan, letters, _command(args)) | {"quick": args.quick}
    if whole_run and not args.json and page.DOCUMENT.exists():
        document = page.with_soak(document, page.read(page.DOCUMENT))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(report.table("Goals", *report.judged(goals.verdicts(document))) + f"\n{target}\n")
    if whole_run and not args.json:
        page.write(document)
    return 1 if wrong(document) else 0


def run(plan: Plan, letters: Sequence[str], command: str) -> Object:
    """The document of a run. A workload that fails is told of and missing in it: those before it took half an hour."""
    programs.build()
    workloads: Object = {}
    failed: Object = {}
    begun = time.monotonic()
    for letter in letters:
        started_at = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix=f"llm-gateway-bench-{letter}-") as folder:
                found = WORKLOADS[letter](plan, Path(folder))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is shown, and the exit code is 1
            traceback.print_exc()
            failed[letter] = type(error).__name__
            continue
        workloads[letter] = {**found, "seconds": round(time.monotonic() - started_at)}
        _tell(letter, found)
    return {
        "format": 1,
        "date": machine.today(),
        "command": command,
        "seconds": round(time.monotonic() - begun),
        "rounds": plan.rounds,
        "round_seconds": plan.seconds,
        "machine": machine.described(),
        "programs": machine.programs(),
        "workloads": workloads,
        "failed": failed,
    }


def wrong(document: Object) -> bool:
    """Whether a workload failed, or the gateway had errors in one."""
    if document.get("failed"):
        return True
    workloads = [as_object(each) for each in as_object(document["workloads"]).values()]
    rows = [as_object(row) for workload in workloads for row in as_list(workload.get("rows"))]
    return any(
        (samples.value_of(row, "measures.errors") or 0) > 0
        for row in rows
        if as_str(row.get("contender")) not in {samples.DIRECT, samples.CONTROL, *_peers(document)}
    )


def _peers(document: Object) -> set[str]:
    return {name for name in as_object(document["programs"]) if name in {"litellm", "portkey", "bifrost"}}


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some minutes; for trying, not for figures")
    known = ", ".join(f"{letter} ({section.title})" for letter, section in SECTIONS.items())
    parser.add_argument("--only", type=_letters, metavar="a,b,...", help=f"these workloads: {known}")
    parser.add_argument(
        "--soak", type=float, nargs="?", const=60.0, metavar="MINUTES", help="workload j, too, for so long (60)"
    )
    parser.add_argument("--rounds", type=_positive, metavar="N", help=f"of all contenders ({FULL.rounds})")
    parser.add_argument("--seconds", type=_positive, metavar="S", help=f"of each in each round ({FULL.seconds:g})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the document goes")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not (number := int(text)) > 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _command(args: argparse.Namespace) -> str:
    """What to say to have the same again."""
    said = ["--quick"] if args.quick else []
    said += [f"--only {','.join(args.only)}"] if args.only else []
    said += [f"--soak {args.soak:g}"] if args.soak else []
    said += [f"--{name} {value}" for name in ("rounds", "seconds") if (value := getattr(args, name))]
    return f'make bench ARGS="{" ".join(said)}"' if said else "make bench"


def _letters(text: str) -> list[str]:
    letters = [letter for letter in text.replace(",", " ").split() if letter]
    if unknown := [letter for letter in letters if letter not in WORKLOADS]:
        raise argparse.ArgumentTypeError(f"no workload {', '.join(unknown)}: there are {', '.join(WORKLOADS)}")
    return letters


def _tell(letter: str, workload: Object) -> None:
    for caption, names, rows in tables(letter, workload):
        _say(report.table(f"{letter}: {caption or SECTIONS[letter].title}", names, rows))
    for note in map(as_str, as_list(workload.get("notes"))):
        _say(f"  {note}\n")


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
