"""LM Studio by its OpenAI routes (facts/engines.md 2.6; recorded from its documentation of 2026-04)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from engines.adapters import parameters
from engines.adapters.anthropic_shape import AnthropicShape
from engines.adapters.openai_shape import MESSAGES, REPEAT, OpenAIShape
from engines.contract import Kind, Tongue

EXTENSIONS = frozenset({"top_k", "repeat_penalty"})


ANTHROPIC: Final = AnthropicShape(choices=frozenset({"auto"}))
"""Its documentation says no more than that the route is there."""


class LmStudio(OpenAIShape):
    """Loads models just in time; `ttl` is never passed on, or a caller could pin one in memory.

    Its documentation lists the parameters it honours, and neither `n` nor `max_completion_tokens` is among them. It may
    run a model on MLX, which checks no token ids: `logit_bias` and prompts of ids are refused (`refuse_bias`).
    """

    kind = Kind.LM_STUDIO
    default_url = "http://127.0.0.1:1234"
    concurrency = 4
    loaded_models = 1  # loads on request, and keeps one model of those
    chat = parameters.SAMPLING | EXTENSIONS | {"messages", "tools", "tool_choice", "response_format"}
    completions = parameters.SAMPLING | EXTENSIONS | {"prompt"}
    embeddings = frozenset({"input", "encoding_format"})
    renames = REPEAT
    native = MappingProxyType({MESSAGES: Tongue("/v1/messages", ANTHROPIC.write)})
    one_answer = True
    one_prompt = True
    checks_bias = False
