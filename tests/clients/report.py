"""What every client driver reports, whatever language it is written in, and where it is pointed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from policies.json import Object

QUESTION = "Hello"
WEATHER = "what is the weather in Paris?"
MAX_TOKENS = 300
"""The tiny model's tokens are bytes: a tool call alone takes more than a hundred."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the client is pointed. `narrow_key` may use no model that exists; `embeddings`: the engine offers them."""

    base_url: str
    key: str
    narrow_key: str
    model: str
    embeddings: bool


Driver: TypeAlias = Callable[[Place], Object]
"""Runs one client through everything: the keys of the report are those at the foot of js/openai.mjs."""
