"""One document per operation that uses every parameter that goes on, and the places in it that are the caller's own."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from policies.call import Dialect, Operation
from policies.json import JSON, Object

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA: Object = {"type": "object", "properties": {"Model": {"type": "string"}, "MODEL": {"type": "integer"}}}
SAMPLING: Object = {
    "temperature": 0.7,
    "top_p": 1,
    "top_k": 40,
    "min_p": 0.05,
    "typical_p": 1.0,
    "repeat_penalty": 1.1,
    "repetition_penalty": 1,
    "repeat_last_n": 64,
    "frequency_penalty": -2,
    "presence_penalty": 2,
    "seed": 2**53,
    "stop": ["\n", "END"],
    "logit_bias": {"15": -100, "50256": 0.5},
    "user": "me",
    "metadata": {"Model": "x"},
}
STREAMING: Object = {"stream": True, "stream_options": {"include_usage": True}}
CALL: Object = {"id": "call_1", "type": "function", "function": {"name": "f.g-h_1", "arguments": '{"a":1}'}}
PARTS: list[JSON] = [
    {"type": "text", "text": "what is this?"},
    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
]
TOOL: Object = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}}
CHAT: Object = {
    "model": "ai/smollm2:360M",
    "messages": [
        {"role": "developer", "content": "be brief", "name": "boss"},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "r", "reasoning": "r"},
        {"role": "tool", "content": "1", "tool_call_id": "call_1"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": "no"},
    ],
    **STREAMING,
    **SAMPLING,
    "n": 2,
    "max_tokens": 64,
    "max_completion_tokens": 64,
    "logprobs": True,
    "top_logprobs": 20,
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
    "tools": [TOOL],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "reasoning_effort": "none",
    "chat_template_kwargs": {"enable_thinking": False},
}
COMPLETIONS: Object = {
    "model": "tiny",
    "prompt": ["a", "b"],
    **STREAMING,
    **SAMPLING,
    "n": 2,
    "max_tokens": 64,
    "logprobs": 5,
    "echo": True,
    "suffix": "z",
}
EMBEDDINGS: Object = {
    "model": "tiny",
    "input": [[1, 2], [3]],
    "encoding_format": "base64",
    "dimensions": 256,
    "user": "me",
}
FULL: dict[Operation, Object] = {
    Operation.CHAT: CHAT,
    Operation.COMPLETIONS: COMPLETIONS,
    Operation.EMBEDDINGS: EMBEDDINGS,
}
PATHS: dict[Operation, str] = {
    Operation.CHAT: "/v1/chat/completions",
    Operation.COMPLETIONS: "/v1/completions",
    Operation.EMBEDDINGS: "/v1/embeddings",
}
DIALECT = Dialect.OPENAI
_OWN = {"parameters", "schema", "metadata", "logit_bias"}


def full(operation: Operation) -> Object:
    """A copy to change."""
    return deepcopy(FULL[operation])


def objects(value: JSON) -> Iterator[Object]:
    """Every object of `value` whose keys are ours to judge."""
    if isinstance(value, dict):
        yield value
        for name, item in value.items():
            if name not in _OWN:
                yield from objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)
