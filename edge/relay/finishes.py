"""Why an answer ended, in OpenAI's words, whatever the engine's are. Pure.

Typed clients (Go, Rust) fail at a word that is not in their list, and agents go on only at `tool_calls`. Sources:
facts/engines.md 2; vLLM `v1/engine/__init__.py` FinishReason; SGLang and TGI for what stands behind kind `openai`.
"""

from __future__ import annotations

from typing import Final

from policies.errors import EngineBroke

FINISHES: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_MEANS: Final = {
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
}
_BROKE: Final = frozenset({"abort", "aborted", "cancelled", "error"})
"""Words of an engine that gave up: as an ending they would pass half an answer off as a whole one."""


def finished(reason: str, *, called: bool) -> str:
    """One of OpenAI's reasons for an engine's `reason`; `called`: whether the choice called any tool, since some
    engines end a call with `stop`. A word of its own making (`eos`, `eos_token`, ...) is a `stop`. EngineBroke."""
    said = reason.lower()
    word = said if said in FINISHES else _MEANS.get(said, "stop")
    if said in _BROKE:
        raise EngineBroke("the engine gave the answer up")
    return "tool_calls" if called and word == "stop" else word
