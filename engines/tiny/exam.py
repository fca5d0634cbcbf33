"""Does it know the page? Exact answers, byte for byte, under greedy decoding.

Greedy decoding reproduces an answer exactly if and only if every byte of it is the likeliest one after the true bytes
before it. So one forward pass over question and answer decides, and no decoding loop is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engines.tiny import corpus, toolbox
from engines.tiny.anatomy import Anatomy
from engines.tiny.corpus import Talk, asked
from engines.tiny.network import Weights, loss
from engines.tiny.page import Entry, Page

_ROWS: Final = 16


def papers(page: Page) -> dict[str, list[Talk]]:
    """The exam papers by name."""
    everything: tuple[Entry, ...] = (*page.entries, page.fallback)
    canonical = [(e.question, e.answer) for e in page.entries]
    return {
        "canonical": [asked(q, a) for q, a in canonical],
        "system": [asked(q, a, "You are a helpful assistant.") for q, a in canonical],
        "lower": [asked(q.lower().rstrip("?"), a) for q, a in canonical],
        "also": [asked(q, e.answer) for e in everything for q in e.also],
        "unseen": [asked(q, e.answer) for e in everything for q in e.unseen],
        "tools": list(_tool_talks()),
    }


def _tool_talks() -> Iterable[Talk]:
    for task in toolbox.TASKS:
        for values in task.few:
            use = toolbox.asked(task.names[0], task.parameters[0], task.asks[0], values)
            result = "18 C and sunny"
            talk = Talk().offer([use.tool]).turn("user", use.ask).turn("assistant", use.call)
            yield talk.turn("tool", result).turn("assistant", toolbox.answer(result, drill=True))


def passed(weights: Weights, anatomy: Anatomy, talks: list[Talk]) -> list[bool]:
    """For each conversation, whether all of the model's words in it are exact."""
    verdicts: list[bool] = []
    for start in range(0, len(talks), _ROWS):
        ids, counts = corpus.padded([t.encoded() for t in talks[start : start + _ROWS]])
        right = loss(weights, anatomy, ids, counts).right
        verdicts += [bool(row.all()) for row in right | (counts < 1)]
    return verdicts


def marks(weights: Weights, anatomy: Anatomy, page: Page, names: Iterable[str]) -> dict[str, float]:
    """Share of each paper that was answered exactly, 0 to 1."""
    every = papers(page)
    return {n: sum(v := passed(weights, anatomy, every[n])) / len(v) for n in names}
