"""What is to be reached (issue 8), and whether a run reached it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from policies.json import Object, as_object
from tests.benchmarks import samples


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure of a row (`path`, see samples.value_of) that is to be `least` or more, or `most` or less.

    With `over` it is the ratio to the same figure of that contender. `needs`: a figure of the row itself, and the least
    that it has to be for the goal to be judged at all.
    """

    workload: str
    what: str
    path: str
    contender: str = "gateway"
    setting: Object = field(default_factory=dict)
    over: str = ""
    least: float | None = None
    most: float | None = None
    unit: str = ""
    needs: tuple[str, float] | None = None

    @property
    def bound(self) -> str:
        """For people."""
        sign, value = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {value:,g}{self.unit}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`found` None: not measured. `met` None: not measured, or nothing that can be judged here."""

    goal: Goal
    found: float | None
    met: bool | None


_A32: Final[Object] = {"connections": 32}
_A1: Final[Object] = {"connections": 1}
_B200: Final[Object] = {"streams": 200}
_LONG: Final = ("minutes", 30.0)
_RATE: Final = "measures.per_second"
_CPU: Final = "measures.cpu_us"

GOALS: Final = (
    Goal("a", "32 connections, to nginx", "ratio.per_second", setting=_A32, least=0.12),
    Goal("a", "32 connections, to nginx: go for", "ratio.per_second", setting=_A32, least=0.20),
    Goal("a", "32 connections, to LiteLLM", _RATE, setting=_A32, over="litellm", least=100.0, unit=" x"),
    Goal("a", "32 connections, to Portkey", _RATE, setting=_A32, over="portkey", least=8.0, unit=" x"),
    Goal("a", "32 connections, to Bifrost", _RATE, setting=_A32, over="bifrost", least=1.0, unit=" x"),
    Goal("a", "1 connection, added p50", "added.p50_ms", setting=_A1, most=0.4, unit=" ms"),
    Goal("a", "1 connection, added p99", "added.p99_ms", setting=_A1, most=2.0, unit=" ms"),
    Goal("b", "200 streams, added gap p99", "added.gap_p99_ms", setting=_B200, most=3.0, unit=" ms"),
    Goal("b", "200 streams, added first token p50", "added.first_p50_ms", setting=_B200, most=1.0, unit=" ms"),
    Goal("b", "200 streams, processor time per token", _CPU, setting=_B200, most=15.0, unit=" µs"),
    Goal("d", "Anthropic, processor time per token", _CPU, setting={"dialect": "anthropic"}, most=40.0, unit=" µs"),
    Goal("d", "Responses, processor time per token", _CPU, setting={"dialect": "responses"}, most=40.0, unit=" µs"),
    Goal("d", "Ollama, processor time per token", _CPU, setting={"dialect": "ollama"}, most=40.0, unit=" µs"),
    Goal("e", "an idle stream", "measures.kib_each", most=40.0, unit=" KiB"),
    Goal("e", "idle streams held", "measures.held", least=10_000, needs=("streams", 10_000)),
    Goal(
        *("f", "100,000 keys and 1,000 grants, to 10 and 1", "ratio.per_second"),
        contender="many",
        least=0.95,
        needs=("keys", 100_000),
    ),
    Goal("h", "start to listening", "measures.start_s", most=0.7, unit=" s"),
    Goal("h", "memory when it is up", "measures.idle_mib", most=85.8, unit=" MiB"),
    Goal("i", "2 workers, to 1", "ratio.per_second", contender="2", least=1.8, unit=" x", needs=("processors", 4)),
    Goal("j", "memory, per hour", "measures.mib_per_hour", most=1.0, unit=" MiB", needs=_LONG),
    Goal("j", "descriptors, per hour", "measures.descriptors_per_hour", most=1.0, needs=_LONG),
)

_PYTHON: Final = (
    "a request costs hundreds of microseconds of processor time, most of them in Python's interpreter and spread over "
    "27,000 instructions: no part of the house has a fifth of it. Decision 0049 says what was tried, mypyc among it"
)
_FIRST: Final = (
    "among 200 streams a request costs 0.7 ms before the engine is asked, and what comes for the others meanwhile is "
    "relayed before its own first token: as long again, and longer the busier the processor is (decision 0048)"
)
_TOKEN: Final = (
    "a streamed token costs 950 of Python's instructions, two system calls and a turn of the event loop; nginx "
    "itself takes 14 to 21 µs for one here"
)
_DIALECT: Final = (
    "without sockets a translated chunk takes 6 to 11 µs (workload p), and the rest is what every streamed token costs "
    "(workload b)"
)
_GO: Final = (
    "Bifrost is compiled, from Go, and does less for a small chat: no policy, no ledger on disk, no traces (decision "
    "0045). With large requests (workload c) and with 1,000 streams (b) it is behind"
)
_MANY: Final = (
    "a figure of this machine's noise as much as of the keys: five runs gave 0.82 to 1.13. 1,000 callers take turns "
    "instead of ten, and what each has under its name is more than the processor's caches hold: some 40 µs of 640, "
    "spread over all functions (decision 0048)"
)
_SOAK: Final = "decision 0048 says what the soak found, and what is known of it"
WHY: Final[Mapping[str, str]] = {
    "32 connections, to nginx": _PYTHON,
    "32 connections, to nginx: go for": _PYTHON,
    "32 connections, to LiteLLM": _PYTHON,
    "32 connections, to Portkey": _PYTHON,
    "32 connections, to Bifrost": _GO,
    "1 connection, added p50": _PYTHON,
    "1 connection, added p99": _PYTHON,
    "200 streams, added gap p99": _TOKEN,
    "200 streams, added first token p50": _FIRST,
    "200 streams, processor time per token": _TOKEN,
    "Anthropic, processor time per token": _DIALECT,
    "Responses, processor time per token": _DIALECT,
    "Ollama, processor time per token": _DIALECT,
    "100,000 keys and 1,000 grants, to 10 and 1": _MANY,
    "memory, per hour": _SOAK,
    "descriptors, per hour": _SOAK,
}
"""Of goals that are missed, by `what`: why, in a sentence or two, and which profile shows it. For the page."""


def verdicts(document: Object) -> list[Verdict]:
    """On a run's document, one for each goal."""
    workloads = as_object(document.get("workloads"))
    return [_verdict(goal, as_object(workloads.get(goal.workload))) for goal in GOALS]


def _verdict(goal: Goal, workload: Object) -> Verdict:
    row = samples.find(workload, goal.contender, goal.setting)
    found = None if row is None else samples.value_of(row, goal.path)
    if goal.over and found is not None:
        other = samples.find(workload, goal.over, goal.setting)
        theirs = None if other is None else samples.value_of(other, goal.path)
        found = found / theirs if theirs else None
    if row is None or found is None:
        return Verdict(goal, None, None)
    if goal.needs is not None and (samples.number(row.get(goal.needs[0])) or 0.0) < goal.needs[1]:
        return Verdict(goal, found, None)
    met = (goal.least is None or found >= goal.least) and (goal.most is None or found <= goal.most)
    return Verdict(goal, found, met)
