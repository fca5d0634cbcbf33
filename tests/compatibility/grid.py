"""The cells of the table, and what each may come to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engines.contract import Kind


class Surface(StrEnum):
    """A route of a dialect that engines answer; the value is what the page calls it."""

    CHAT = "OpenAI chat"
    RESPONSES = "OpenAI Responses"
    ANTHROPIC = "Anthropic Messages"
    OLLAMA = "Ollama chat"
    COMPLETIONS = "OpenAI completions"
    GENERATE = "Ollama generate"
    EMBEDDINGS = "OpenAI embeddings"
    EMBED = "Ollama embed"


class Scenario(StrEnum):
    """What is tried."""

    ANSWER = "answer"
    STREAM = "stream"
    TOOLS = "tools"
    ERROR = "error"
    BREAK = "break"
    CANCEL = "cancel"


class Outcome(StrEnum):
    """What a cell came to. All of them passed: a cell that fails is a test that fails."""

    REAL = "real"
    """With the program itself."""
    RECORDED = "recorded"
    """With an engine that plays what was read in the program's source or documentation."""
    CANNOT = "cannot"
    """The engine has no such thing; the caller was told so, or was given what there is."""


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One place in the table."""

    surface: Surface
    kind: Kind
    scenario: Scenario


TALKING = tuple(Scenario)
WORDS = tuple(scenario for scenario in Scenario if scenario is not Scenario.TOOLS)
VECTORS = (Scenario.ANSWER, Scenario.ERROR)
TRIED: dict[Surface, tuple[Scenario, ...]] = {
    Surface.CHAT: TALKING,
    Surface.RESPONSES: TALKING,
    Surface.ANTHROPIC: TALKING,
    Surface.OLLAMA: TALKING,
    Surface.COMPLETIONS: WORDS,
    Surface.GENERATE: WORDS,
    Surface.EMBEDDINGS: VECTORS,
    Surface.EMBED: VECTORS,
}
CELLS = tuple(Cell(surface, kind, scenario) for kind in Kind for surface, tried in TRIED.items() for scenario in tried)
