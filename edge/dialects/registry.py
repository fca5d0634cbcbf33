"""Which rendering belongs to a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from edge.dialects.anthropic.answer import AnthropicRendering
from edge.dialects.chat import OpenAiRendering
from edge.dialects.contract import Rendering
from edge.dialects.model_runner.stock import ModelRunnerStock
from edge.dialects.ollama.answer import OllamaRendering
from edge.dialects.ollama.stock import OllamaStock
from edge.dialects.ollama.vectors import OllamaVectors
from edge.dialects.responses.answer import ResponsesRendering, in_force
from edge.dialects.stock import StockRendering
from edge.dialects.timing import Timing
from policies.call import Call, Dialect, Operation
from policies.errors import GatewayError
from policies.json import Object


def rendering_of(call: Call, request_id: str, timing: Timing) -> Rendering:
    """A new one for one answer; `request_id` is 32 hexadecimal digits."""
    match call.dialect:
        case Dialect.OPENAI | Dialect.MODEL_RUNNER:  # whose own routes have no answers of models
            return OpenAiRendering(include_usage=call.include_usage)
        case Dialect.RESPONSES:
            return ResponsesRendering(in_force(call), call.model, request_id, timing.wall)
        case Dialect.ANTHROPIC:
            return AnthropicRendering(call.model, request_id)
        case Dialect.OLLAMA if call.operation is Operation.EMBEDDINGS:
            return OllamaVectors(call, timing)
        case Dialect.OLLAMA:
            return OllamaRendering(call, timing)
    assert_never(call.dialect)


def stock_rendering(call: Call) -> StockRendering:
    """A new one for one request that changes which models there are."""
    return OllamaStock() if call.dialect is Dialect.OLLAMA else ModelRunnerStock()


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
