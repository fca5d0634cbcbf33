"""Count what a request costs: `python -m tests.budget [--write] [--functions N] [--json FILE] [--against FILE]`.

Exit code 1 if something is over its budget (or far below it, or has none), 2 if nothing can be counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.budget import figures, functions
from tests.budget.measuring import CountError, measure
from tests.budget.remote import Sample


def main(argv: Sequence[str]) -> int:
    """Measure, print, compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.budget", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make what is counted the budget")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="print the N costliest of each workload")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep what each function did")
    parser.add_argument("--against", type=Path, metavar="FILE", help="print what each function does more than then")
    args = parser.parse_args(argv)
    then = functions.load(args.against) if args.against else None
    try:
        with tempfile.TemporaryDirectory(prefix="llm-gateway-budget-") as name:
            found = measure(Path(name))
    except CountError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if args.write:
        figures.write(figures.here(), {workload: sample.cost for workload, sample in found.items()})
    for workload, sample in found.items() if args.functions else ():
        _say(f"\n{workload}: own instructions, C calls\n{functions.top(sample.functions, args.functions)}")
    if args.json:
        functions.save(args.json, found)
    if then is not None:
        _changed(then, found)
    return _compared(found)


def _changed(then: Mapping[str, Sample], now: Mapping[str, Sample]) -> None:
    for workload, sample in now.items():
        before = then.get(workload, Sample({}))
        own, calls = (b - a for a, b in zip(before.cost, sample.cost, strict=True))
        lines = functions.changes(before.functions, sample.functions)
        _say(f"\n{workload}: {own:+,} instructions, {calls:+,} C calls\n{lines}")


def _compared(found: Mapping[str, Sample]) -> int:
    costs = {workload: sample.cost for workload, sample in found.items()}
    allowed = figures.read(figures.here())
    _say(f"\n{'per request or chunk':<20} {'counted':>21} {'budget':>9}\n")
    for line in figures.compare(costs, allowed or {}):
        beside = "" if line.allowed is None else f"{line.allowed:>9,} {line.change:>+7.1%}"
        _say(f"{line.workload:<20} {line.counted:>9,} {line.what:<12}{beside}\n")
    if allowed is None:
        _say(f"\n{figures.none(figures.here())}\n")
        return 1
    if said := figures.wrong(costs, allowed):
        _say("\n" + "\n".join((*said, "", figures.HINT)) + "\n")
    return 1 if said else 0


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
