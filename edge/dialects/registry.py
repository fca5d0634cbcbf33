"""Which rendering belongs to a call."""

from __future__ import annotations

from edge.dialects.anthropic.answer import AnthropicRendering
from edge.dialects.chat import OpenAiRendering
from edge.dialects.contract import Rendering
from policies.call import Call, Dialect


def rendering_of(call: Call, request_id: str) -> Rendering:
    """A new one for one answer; `request_id` is 32 hexadecimal digits."""
    if call.dialect is Dialect.ANTHROPIC:
        return AnthropicRendering(call.model, request_id)
    return OpenAiRendering(include_usage=call.include_usage)
