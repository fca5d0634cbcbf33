"""The outcomes as the committed page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.adapters.registry import adapter_for
from engines.contract import Kind
from tests.compatibility.grid import TRIED, Cell, Outcome, Surface

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
MARKS: Final = {Outcome.REAL: "**yes**", Outcome.RECORDED: "yes", Outcome.CANNOT: "cannot"}
_HEAD: Final = """\
# Compatibility

Every dialect in front of every kind of engine. This page is written by the tests that it is about
(`tests/compatibility`, `make compatibility`), and a test fails when it does not say what they show.

| mark | means |
|---|---|
| **yes** | tried with the program itself, serving the tiny model |
| yes | tried with an engine that plays what was read in that program's source or documentation |
| cannot | this kind of engine has no such thing: the caller is told so (400), or gets what there is |

| tried | and what must hold |
|---|---|
| answer | text, reason of the end, the model's name as the caller wrote it, and the tokens of both sides |
| stream | the same text in pieces, with the dialect's own order of events and its proper end |
| tools | a call with its arguments as an object, and the answer after the tool's result, each streamed and whole |
| error | what the engine refuses is the dialect's own error, with our text and nothing of the engine's |
| break | an answer that breaks off is the dialect's own error event, never a normal end |
| cancel | the engine is left within a second after its caller has gone |
"""
_ROUTE: Final = """
*Native*: the engine's own route of that dialect is used, and its answer is read and written anew; *translated*: its
OpenAI route. OpenAI's own routes are neither.
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What one cell came to, and on which of its routes the engine was asked ("" if it was not)."""

    outcome: Outcome
    path: str


Results = Mapping[Cell, Result]


def written(results: Results) -> str:
    """The page for results of all cells."""
    return "\n".join([_HEAD, *(_table(surface, results) for surface in TRIED), _ROUTE.lstrip()])


def row(surface: Surface, kind: Kind, results: Results) -> str:
    """One line of the page."""
    cells = [results[Cell(surface, kind, scenario)] for scenario in TRIED[surface]]
    marks = [MARKS[cell.outcome] for cell in cells]
    return f"| `{kind}` | {' | '.join([_way(surface, kind, cells[0].path), *marks])} |"


def _table(surface: Surface, results: Results) -> str:
    names = [scenario.value for scenario in TRIED[surface]]
    head = f"| engine | asked on | {' | '.join(names)} |"
    rule = "|---" * (len(names) + 2) + "|"
    return "\n".join([f"## {surface}", "", head, rule, *(row(surface, kind, results) for kind in Kind), ""])


def _way(surface: Surface, kind: Kind, path: str) -> str:
    if not path:
        return "-"
    if surface in {Surface.CHAT, Surface.COMPLETIONS, Surface.EMBEDDINGS}:
        return f"`{path}`"
    ours = path in adapter_for(kind).paths.values()
    return f"`{path}`, {'translated' if ours else 'native'}"
