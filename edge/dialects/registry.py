"""Which rendering belongs to a call."""

from __future__ import annotations

from edge.dialects.anthropic.answer import AnthropicRendering
from edge.dialects.chat import OpenAiRendering
from edge.dialects.contract import Rendering
from edge.dialects.ollama.answer import OllamaRendering
from edge.dialects.ollama.vectors import OllamaVectors
from edge.dialects.timing import Timing
from policies.call import Call, Dialect, Operation


def rendering_of(call: Call, request_id: str, timing: Timing) -> Rendering:
    """A new one for one answer; `request_id` is 32 hexadecimal digits."""
    match call.dialect:
        case Dialect.ANTHROPIC:
            return AnthropicRendering(call.model, request_id)
        case Dialect.OLLAMA if call.operation is Operation.EMBEDDINGS:
            return OllamaVectors(call, timing)
        case Dialect.OLLAMA:
            return OllamaRendering(call, timing)
        case _:
            return OpenAiRendering(include_usage=call.include_usage)
