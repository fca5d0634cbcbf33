"""Reads questions.md, the page that the model learns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.tiny.anatomy import PAGE

_FALLBACK_HEADING: Final = "## Anything else"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the model knows."""

    question: str  # the canonical wording
    also: tuple[str, ...]
    unseen: tuple[str, ...]  # never trained on
    answer: str


@dataclass(frozen=True, slots=True)
class Page:
    entries: tuple[Entry, ...]
    fallback: Entry  # what to say to everything else; its `question` is empty


def read(path: Path = PAGE) -> Page:
    known, _, rest = path.read_text(encoding="utf-8").partition(_FALLBACK_HEADING)
    _, *sections = re.split(r"^### ", known, flags=re.MULTILINE)
    return Page(tuple(_entry(s) for s in sections), _entry(rest))


def _entry(section: str) -> Entry:
    question, _, body = section.partition("\n")
    lists: dict[str, tuple[str, ...]] = {"also": (), "unseen": ()}
    answer: list[str] = []
    for line in body.splitlines():
        word, colon, items = line.partition(": ")
        if colon and word in lists:
            lists[word] = tuple(item.strip() for item in items.split("|"))
        else:
            answer.append(line)
    return Entry(question.strip(), lists["also"], lists["unseen"], " ".join(" ".join(answer).split()))
