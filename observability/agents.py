"""The family of a User-Agent: one of a short list, so that it can be counted and never holds a caller's own text. Pure.

The prefixes are those the programs were seen to send (facts/clients.md).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_FAMILIES: Final = (
    # The first match counts: agents carry the name of the SDK or of the browser they are built on behind their own.
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("opencode", "opencode"),
    ("open-webui", "open-webui"),
    ("open webui", "open-webui"),
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-node"),
    ("asyncopenai/js", "openai-node"),
    ("anthropic/", "anthropic-sdk"),
    ("asyncanthropic/", "anthropic-sdk"),
    ("ollama", "ollama"),
    ("curl/", "curl"),
    ("mozilla/", "browser"),
)
FAMILIES: Final = frozenset({family for _, family in _FAMILIES} | {"other"})
_MAX: Final = 256


def family(user_agent: str) -> str:
    """One of FAMILIES; "" for none."""
    return _family(user_agent[:_MAX]) if user_agent else ""


@lru_cache(maxsize=256)
def _family(text: str) -> str:
    low = text.lower()
    return next((name for prefix, name in _FAMILIES if low.startswith(prefix)), "other")
