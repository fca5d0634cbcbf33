"""Measure and print: `python -m tests.benchmarks [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from policies.json import JSON, Object
from tests.benchmarks import (
    accounts,
    decisions,
    dialects,
    fleet,
    load,
    nginx,
    passing,
    report,
    streams,
    telemetry,
    tracing,
)
from tests.benchmarks.contenders import Contender, Peak, field, gateway_to, streaming_origin

START_GOAL = 1.0
"""Seconds from the command to the first listening socket."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float
    connections: tuple[int, ...] = (1, 8, 64)
    concurrent: tuple[int, ...] = (1, 16)
    rounds: int = 8
    starts: int = 5
    decisions: int = 5_000
    chunks: int = 20_000


QUICK = Plan(seconds=2, connections=(1, 64), rounds=3, starts=3, decisions=1_000, chunks=4_000)
FULL = Plan(seconds=8)


def main(argv: Sequence[str]) -> int:
    """Run everything; exit code 2 when a program is missing, 1 when the gateway answered wrongly under load."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 40 s instead of some minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON document here, not to stdout")
    args = parser.parse_args(argv)
    if missing := nginx.missing():
        sys.stderr.write(f"missing: {', '.join(missing)}. Install: apt-get install nginx wrk (macOS: brew install)\n")
        return 2
    plan = QUICK if args.quick else FULL
    with tempfile.TemporaryDirectory(prefix="llm-gateway-bench-") as name:
        document = _measure(plan, Path(name))
    text = json.dumps(document, indent=1)
    if args.json:
        args.json.write_text(text + "\n")
    else:
        sys.stdout.write(text + "\n")
    return 1 if document["errors"] else 0


def _measure(plan: Plan, folder: Path) -> Object:
    whole, memory = _whole(plan, folder / "whole")
    streamed = _streamed(plan, folder / "streamed")
    decided = _decided(plan, folder / "decided")
    accounted = _accounted(plan, folder / "accounted")
    spoken = _spoken(plan)
    told = _told(plan)
    passed = _passed(plan)
    fleeted = _fleet(plan, folder / "fleet")
    start = _start(plan, folder / "start")
    return {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "whole": list[JSON](whole),
        "streamed": list[JSON](streamed),
        "decisions": list[JSON](decided),
        "accounts": list[JSON](accounted),
        "dialects": list[JSON](spoken),
        "telemetry": list[JSON](told),
        "native": list[JSON](passed),
        "fleet": fleeted,
        "memory": memory,
        "start": start,
        "errors": sum(int(str(result["errors"])) for result in whole),
    }


def _whole(plan: Plan, folder: Path) -> tuple[list[Object], Object]:
    results: list[Object] = []
    memory: Object = {}
    with nginx.origin(folder / "origin") as origin, field(folder, origin.port) as contenders:
        idle = {contender.name: contender.resident() for contender in contenders}
        for connections in plan.connections:
            group = [_press(contender, folder, connections, plan, memory) for contender in contenders]
            group = report.compared(group, "nginx", "p50_ms")
            results += report.compared(group, "nginx", "per_second")
    memory = {
        name: {"idle_mib": _mib(idle[name]), "loaded_mib": _mib(int(str(peak)))}
        for name, peak in memory.items()
        if idle[name]
    }
    names = ("connections", "contender", "per_second", "ratio_per_second", "p50_ms", "added_p50_ms", "p99_ms", "errors")
    _say(report.table("Whole answers (wrk, 1 thread)", names, report.rows(results, names)))
    _say("memory, MiB: " + json.dumps(memory) + "\n")
    return results, memory


def _press(contender: Contender, folder: Path, connections: int, plan: Plan, memory: Object) -> Object:
    with Peak(contender.resident) as peak:
        seen = load.press(contender.port, contender.key, folder, connections=connections, seconds=plan.seconds)
    memory[contender.name] = max(peak.value, int(str(memory.get(contender.name, 0))))
    return {"contender": contender.name, **seen.document()}


def _streamed(plan: Plan, folder: Path) -> list[Object]:
    results: list[Object] = []
    with streaming_origin() as port, field(folder, port) as contenders:
        for concurrent in plan.concurrent:
            group: list[Object] = [
                {
                    "contender": contender.name,
                    **streams.listen(
                        contender.port, contender.key, concurrent=concurrent, rounds=plan.rounds
                    ).document(),
                }
                for contender in contenders
            ]
            group = report.compared(group, "nginx", "first_p50_ms")
            results += report.compared(group, "nginx", "transit_p50_ms")
    names = (
        *("concurrent", "contender", "first_p50_ms", "added_first_p50_ms", "first_p99_ms", "transit_p50_ms"),
        *("added_transit_p50_ms", "transit_p99_ms", "gap_p50_ms", "gap_p99_ms"),
    )
    _say(report.table("Streams (50 events, one each 10 ms)", names, report.rows(results, names)))
    return results


def _decided(plan: Plan, folder: Path) -> list[Object]:
    results = decisions.measure(folder, plan.decisions)
    names = ("way", "grants", "p50_us", "p99_us", "goal_us", "met")
    _say(report.table("Policy decisions, microseconds", names, report.rows(results, names)))
    return results


def _accounted(plan: Plan, folder: Path) -> list[Object]:
    folder.mkdir()
    results = accounts.measure(folder, plan.decisions * 5)
    names = ("way", "p50_us", "goal_us", "met")
    _say(report.table("Limits, ledger and queue of one request, microseconds", names, report.rows(results, names)))
    return results


def _spoken(plan: Plan) -> list[Object]:
    results = dialects.measure(plan.chunks)
    names = ("dialect", "chunk", "way_us", "translator_us", "ratio", "goal_us", "met")
    _say(report.table("One streamed chunk, microseconds", names, report.rows(results, names)))
    return results


def _told(plan: Plan) -> list[Object]:
    counted = telemetry.metrics(plan.decisions * 4)
    names = ("what", "took", "unit", "goal", "met")
    _say(report.table("Telemetry", names, report.rows(counted, names)))
    traced = tracing.measure(plan.decisions * 2)
    names = ("way", "cpu_us", "goal_us", "met", "dropped")
    _say(report.table("All telemetry of one request, microseconds", names, report.rows(traced, names)))
    return counted + traced


def _passed(plan: Plan) -> list[Object]:
    results = passing.measure(plan.decisions * 2)
    names = ("dialect", "way", "cpu_us", "goal_us", "met")
    _say(report.table("One event of a stream, microseconds", names, report.rows(results, names)))
    return results


def _fleet(plan: Plan, folder: Path) -> Object:
    with nginx.origin(folder / "origin") as origin:
        found = fleet.measure(folder, origin.port, plan.starts)
    _say(f"\npolicy applied to enforced by a following OPA: {json.dumps(found)}\n")
    return found


def _start(plan: Plan, folder: Path) -> Object:
    gateways: list[float] = []
    controls: list[float] = []
    with nginx.origin(folder / "origin") as origin:
        for number in range(plan.starts):
            gateway = gateway_to(folder / f"gateway{number}", origin.port)
            try:
                gateways.append(gateway.start().started_in)
                gateway.stop()
            finally:
                gateway.kill()
            with nginx.proxy(folder / f"control{number}", origin.port) as control:
                controls.append(control.started_in)
    found = round(median(gateways), 3)
    verdict = "met" if found <= START_GOAL else "missed"
    _say(f"\nstart to listening: {found} s (goal {START_GOAL} s: {verdict}); nginx {median(controls):.3f} s\n\n")
    return {"gateway_s": found, "nginx_s": round(median(controls), 3), "goal_s": START_GOAL, "met": found <= START_GOAL}


def _mib(size: int) -> float:
    return round(size / (1 << 20), 1)


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
