"""Which rendering belongs to a call."""

from __future__ import annotations

from collections.abc import Callable

from edge.dialects.anthropic.answer import AnthropicRendering
from edge.dialects.chat import OpenAiRendering
from edge.dialects.contract import Rendering
from edge.dialects.responses.answer import ResponsesRendering
from policies.call import Call, Dialect
from policies.errors import GatewayError
from policies.json import Object


def rendering_of(call: Call, request_id: str, wall: Callable[[], float]) -> Rendering:
    """A new one for one answer; `request_id` is 32 hexadecimal digits, `wall` gives seconds since the epoch."""
    if call.dialect is Dialect.RESPONSES:
        return ResponsesRendering(call.asked, call.model, request_id, wall)
    if call.dialect is Dialect.ANTHROPIC:
        return AnthropicRendering(call.model, request_id)
    return OpenAiRendering(include_usage=call.include_usage)


def failing_of(rendering: Rendering) -> Callable[[GatewayError, bool], bytes] | None:
    """How a stream in this dialect says that it fails, if that takes more than the dialect's one event; is told whether
    the caller was given any event."""
    if isinstance(rendering, ResponsesRendering):
        return lambda error, begun: rendering.failed(error, begun=begun)
    return None


def counted(call: Call, tokens: int) -> Object:
    """The answer to who only wants the prompt's tokens counted."""
    said: Object = {"object": "response.input_tokens"} if call.dialect is Dialect.RESPONSES else {}
    return {**said, "input_tokens": tokens}
