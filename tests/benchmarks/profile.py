"""Where the request path spends its time: `python -m tests.benchmarks.profile [--workload whole|streams] ...`.

For whole chats under wrk, and for streams, each under two profilers, since each of them hides something:

    flame graph   py-spy looks at the process from outside, so what is cheap looks cheap. An SVG: open it in a browser,
                  click to zoom. `--native` shows C code too (Linux) and looks only ten times a second: --seconds 60
    table         cProfile counts calls, and functions by their own time. It costs half of the throughput, and makes
                  small functions look dear: read the order, not the times

Needs nginx, wrk and Go. To look into another process takes root on macOS (`sudo make profile`).
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import load, nginx, origin
from tests.benchmarks.contenders import alone
from tests.benchmarks.readers import Asked, listen
from tests.benchmarks.spy import Look
from tests.system.process import COMMAND, ROOT, Gateway

_OUT: Final = ROOT / "build" / "profile"
_RATE: Final = 100
"""Looks per second. Each stops the gateway for a moment: with more of them it does little else."""
_STEP: Final = 10
_TOKENS: Final = 100
"""Of each stream, at 50 a second."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is pressed, and where the files go."""

    seconds: float
    connections: int
    streams: int
    native: bool
    top: int
    out: Path


def main(argv: Sequence[str]) -> int:
    """Profile, print the tables and where the files are; exit code 2 when a program is missing, 1 without a graph."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workload", choices=[*_WORKLOADS], action="append", help="only this one")
    parser.add_argument("--seconds", type=float, default=8, help="how long to press, each time (default 8)")
    parser.add_argument("--connections", type=int, default=32, help="of whole chats (default 32)")
    parser.add_argument("--streams", type=int, default=200, help="at once (default 200)")
    parser.add_argument("--native", action="store_true", help="C functions in the flame graph")
    parser.add_argument("--top", type=int, default=35, help="how many functions to print (default 35)")
    parser.add_argument("--out", type=Path, default=_OUT, metavar="FOLDER", help="for the files (build/profile)")
    args = parser.parse_args(argv)
    if missing := nginx.missing():
        sys.stderr.write(f"{missing}\n")
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(args.seconds, args.connections, args.streams, args.native, args.top, args.out)
    drawn = [_profiled(name, plan) for name in args.workload or _WORKLOADS]
    return 0 if all(drawn) else 1


def _profiled(name: str, plan: Plan) -> bool:
    _say(f"\n=== {name}\n")
    table, graph = plan.out / f"{name}.prof", plan.out / f"{name}.svg"
    with _pressed(name, plan, (sys.executable, "-m", "cProfile", "-o", str(table), "-m", "edge")) as (gateway, press):
        _say(f"{press()} under cProfile\n\n")
        gateway.stop()
    pstats.Stats(str(table), stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(plan.top)
    with _pressed(name, plan, COMMAND) as (gateway, press):
        drawn = _draw(gateway.process.pid, graph, plan, press)
    _say(f"{graph if drawn else 'no flame graph'}\n{table} (python -m pstats)\n")
    return drawn


def _draw(pid: int, graph: Path, plan: Plan, press: Callable[[], str]) -> bool:
    """Let py-spy look at process `pid` while it is pressed; whether there is a graph."""
    options = ("--native",) if plan.native else ()
    with Look(pid, graph, *options, rate=_RATE // _STEP if plan.native else _RATE, seconds=plan.seconds) as look:
        look.begin()
        _say(f"{press()} while py-spy looks\n")
        problem = look.end()
    if problem:
        _say(f"{problem}\n")
    return not problem


@contextmanager
def _pressed(name: str, plan: Plan, command: tuple[str, ...]) -> Iterator[tuple[Gateway, Callable[[], str]]]:
    """A gateway with everything on, started by `command`, and what presses it and says what came of it."""
    pace, press = _WORKLOADS[name]
    with (
        tempfile.TemporaryDirectory(prefix="llm-gateway-profile-") as temporary,
        origin.running(pace) as port,
        alone(Path(temporary), port, command) as gateway,
    ):
        key = gateway.create_key("profile").secret
        yield gateway, lambda: press(plan, gateway, key)


def _whole(plan: Plan, gateway: Gateway, key: str) -> str:
    port, connections = gateway.address[1], plan.connections
    seen = load.press(port, key, gateway.folder, connections=connections, seconds=plan.seconds)
    return f"{seen.per_second:.0f} requests/s, {seen.refused + seen.broken} errors"


def _streams(plan: Plan, gateway: Gateway, key: str) -> str:
    asked = Asked(gateway.address[1], key, origin.chat(stream=True, max_tokens=_TOKENS), _TOKENS)
    heard = listen(asked, streams=plan.streams, warm=1, seconds=plan.seconds)
    return f"{heard.events / plan.seconds:.0f} tokens/s, {heard.errors} errors"


_WORKLOADS: Final = {"whole": (origin.Pace.AT_ONCE, _whole), "streams": (origin.Pace.EXACT, _streams)}


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
