"""What each workload is called, what is said of it, and which figures are shown: for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from policies.json import JSON, Object, as_list, as_object
from tests.benchmarks import samples
from tests.benchmarks.plots import shown


@dataclass(frozen=True, slots=True)
class Column:
    """`path`: a member of the row, or `group.measure` (samples.value_of); `spread`: smallest and largest, too."""

    title: str
    path: str
    spread: bool = False

    def cell(self, row: Object) -> str:
        """What stands in the table; `-` where there is nothing."""
        group, _, name = self.path.partition(".")
        if not name:
            return _plain(row.get(group))
        found = as_object(as_object(row.get(group)).get(name))
        value = samples.number(found.get("median"))
        if value is None:
            return "-"
        low, high = samples.number(found.get("min")), samples.number(found.get("max"))
        if self.spread and low is not None and high is not None and low != high:
            return f"{shown(value)} ({shown(low)} to {shown(high)})"
        return shown(value)


@dataclass(frozen=True, slots=True)
class Section:
    """One workload."""

    title: str
    text: str
    columns: tuple[Column, ...]


_WHO: Final = Column("", "contender")
_RATE: Final = Column("requests/s", "measures.per_second", spread=True)
_RATIO: Final = Column("to nginx", "ratio.per_second", spread=True)
_LATENCY: Final = (
    Column("p50, ms", "measures.p50_ms"),
    Column("added p50", "added.p50_ms", spread=True),
    Column("p99, ms", "measures.p99_ms"),
    Column("added p99", "added.p99_ms", spread=True),
)
_ERRORS: Final = Column("errors", "measures.errors")
_STREAMED: Final = (
    Column("tokens/s", "measures.per_second"),
    Column("first p50, ms", "measures.first_p50_ms"),
    Column("added first p50", "added.first_p50_ms", spread=True),
    Column("first p99, ms", "measures.first_p99_ms"),
    Column("under way p50, ms", "measures.transit_p50_ms"),
    Column("under way p99, ms", "measures.transit_p99_ms"),
    Column("gap p50, ms", "measures.gap_p50_ms"),
    Column("gap p99, ms", "measures.gap_p99_ms"),
    Column("added gap p99", "added.gap_p99_ms", spread=True),
    Column("µs of processor per token", "measures.cpu_us", spread=True),
    _ERRORS,
)

SECTIONS: Final[Mapping[str, Section]] = {
    "a": Section(
        "A small chat, not streamed",
        "Closed loop: each connection asks again as soon as it has its answer. The engine answers at once, with one "
        "token; since tokens are limited, the gateway asks for it as a stream. `added`: more than straight to the "
        "engine. `µs of processor`: what the contender's processes used for one answer.",
        (
            Column("connections", "connections"),
            *(_WHO, _RATE, _RATIO, *_LATENCY),
            Column("µs of processor", "measures.cpu_us"),
            _ERRORS,
        ),
    ),
    "b": Section(
        "Streams at 50 tokens a second",
        "Each token is the instant at which the engine wrote it. `first`: request to first token. `under way`: token "
        "written to token read. `gap`: how much longer two tokens were apart when they were read than when they were "
        "written. `added`: more than straight from the engine. Streams begin and end all the time, evenly.",
        (Column("streams", "streams"), _WHO, *_STREAMED),
    ),
    "c": Section(
        "Large requests",
        "Prompts of that size, small answers. nginx and the gateway take the whole request before they ask the engine; "
        "the gateway parses it, checks it and writes it anew.",
        (Column("KiB", "kib"), Column("connections", "connections"), _WHO, _RATE, _RATIO, *_LATENCY, _ERRORS),
    ),
    "d": Section(
        "Streams in the callers' dialects",
        "200 streams at 50 tokens a second from an engine that speaks OpenAI's dialect.",
        (
            Column("dialect", "dialect"),
            *(column for column in _STREAMED if not column.path.startswith("added.")),
        ),
    ),
    "e": Section(
        "Idle streams",
        "They have had their first token, and wait. Each is two connections: the caller's, and one to the engine.",
        (
            _WHO,
            Column("held", "measures.held"),
            Column("failed", "measures.failed"),
            Column("KiB each", "measures.kib_each"),
            Column("MiB in all", "measures.mib"),
        ),
    ),
    "f": Section(
        "Many keys, many grants",
        "32 connections; one key in a hundred calls, in turn. The last grant is the one that matches. `first call`: "
        "of a key, for which no decision is kept yet; afterwards there is one.",
        (
            Column("keys", "keys"),
            Column("grants", "grants"),
            _RATE,
            Column("to few", "ratio.per_second", spread=True),
            Column("p50, ms", "measures.p50_ms"),
            Column("p99, ms", "measures.p99_ms"),
            Column("first call p50, ms", "measures.new_p50_ms"),
            Column("start, s", "measures.start_s"),
            Column("MiB", "measures.mib"),
            _ERRORS,
        ),
    ),
    "g": Section(
        "Refusals",
        "A well-formed key that does not exist (401), a model that no grant gives (403), a spent limit (429). nginx: "
        "`limit_req`.",
        (
            _WHO,
            _RATE,
            _RATIO,
            Column("p50, ms", "measures.p50_ms"),
            Column("p99, ms", "measures.p99_ms"),
            Column("µs of processor", "measures.cpu_us"),
            _ERRORS,
        ),
    ),
    "h": Section(
        "Start and memory",
        "From the command to an open port, with a new state folder and all processors; memory of all processes (a "
        "library that several use counts once), when it is up and at the most with 32 connections of workload a.",
        (
            _WHO,
            Column("start, s", "measures.start_s", spread=True),
            Column("up, MiB", "measures.idle_mib", spread=True),
            Column("loaded, MiB", "measures.loaded_mib", spread=True),
        ),
    ),
    "i": Section(
        "Limits in Redis, two workers",
        "One or two gateways with one database and one Redis; 32 connections in all.",
        (
            Column("workers", "contender"),
            Column("processors", "processors"),
            _RATE,
            Column("to one", "ratio.per_second", spread=True),
            Column("p99, ms", "measures.p99_ms"),
            _ERRORS,
        ),
    ),
    "j": Section(
        "Soak",
        "60 callers: streams of 20 tokens, of which one in ten is left in its middle; one request in four is whole. "
        "The slope is that of the second half.",
        (
            Column("minutes", "minutes"),
            Column("answers", "measures.answers"),
            _ERRORS,
            Column("MiB", "measures.mib"),
            Column("MiB per hour", "measures.mib_per_hour"),
            Column("descriptors", "measures.descriptors"),
            Column("descriptors per hour", "measures.descriptors_per_hour"),
        ),
    ),
    "w": Section(
        "Where the time goes",
        "The presses of a and b once more, while py-spy looks at the gateway from outside. Each look at the event "
        "loop's thread counts for the part whose function was running: the innermost function of ours, with what "
        "libraries did for it (aiohttp's server is the listener's). `event loop`: none of ours was running. "
        "`threads`: the others, which write the ledger and the logs; their time is what the gateway used beyond "
        "that thread. `%`: of its processor time. `µs`: of one answer, or of one token with its part of how streams "
        "begin and end. A look stops the gateway for some two milliseconds, so these answers are fewer and dearer "
        "than those of a and b. `instructions`: Python's, of the same chat and of one chunk in the middle of a "
        "stream (`make budget`); what is done in C takes time, and none of them.",
        (
            Column("", "press"),
            Column("looks", "looks"),
            Column("answers or tokens/s", "measures.per_second"),
            Column("µs of processor", "measures.cpu_us"),
            _ERRORS,
        ),
    ),
    "p": Section("Single parts", "In one process, without sockets; each part has a goal of its own.", ()),
}


def tables(letter: str, workload: Object) -> list[tuple[str, list[str], list[list[str]]]]:
    """(caption, titles, rows) of each table of a workload."""
    found: list[tuple[str, list[str], list[list[str]]]] = []
    columns = SECTIONS[letter].columns
    if columns:
        rows = [[column.cell(as_object(row)) for column in columns] for row in as_list(workload.get("rows"))]
        found.append(("", [column.title for column in columns], rows))
    parts = as_object(workload.get("parts"))
    return found + [(title, *_loose(rows)) for title, rows in parts.items()]


def _loose(rows: JSON) -> tuple[list[str], list[list[str]]]:
    """A table of rows that are plain objects, with the names that the first one has."""
    listed = [as_object(row) for row in as_list(rows)]
    names = list(dict.fromkeys(name for row in listed for name in row))
    return [name.replace("_", " ") for name in names], [[_plain(row.get(name)) for name in names] for row in listed]


def _plain(value: JSON) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return shown(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)
