"""What Anthropic's Messages route takes. Names and types: anthropic-sdk-python 2.11, `types/message_create_params.py`
(both wire versions, 2023-06-01 and 2026-10-21); facts/engines.md 4.1.

Laxer than Anthropic: temperature goes to 5 as for OpenAI's dialect, `system` may be a role within `messages` (Claude
Code sends it), roles need not take turns. Blocks that only Anthropic's own servers make (`server_tool_use`, results of
its searches) are dropped and named, as are its server's tools: agents send them beside their own. A PDF is refused, not
dropped: the model would answer about a document that it never saw.
"""

from __future__ import annotations

import re
from typing import Final

from edge.intake.fields import Field, Record
from edge.intake.kinds import Array, Tagged, Union, type_of
from edge.intake.leaves import Choice, Flag, Int, Number, Text
from edge.intake.openai_messages import (
    ARGUMENTS,
    CALLED_NAME,
    FUNCTION_NAME,
    IDENTIFIER,
    MAX_TOOLS,
    MAX_TURNS,
    PROSE,
    SCHEMA,
    Media,
)
from edge.intake.openai_params import CEILINGS, FLAG, LABEL, MODEL
from policies.json import JSON

_MANY: Final = 1024
_BLOCK_NOTES: Final = ("cache_control", "citations")


def _block(name: str, *fields: Field) -> Record:
    return Record(Field("type", Choice(name), required=True), *fields, dropped=_BLOCK_NOTES)


_PICTURE: Final = Media(None, "It must be an image in base64.")
_IMAGE_SOURCE: Final = Tagged(
    "type",
    {
        "base64": Record(
            Field("type", Choice("base64"), required=True),
            Field("media_type", Choice("image/png", "image/jpeg", "image/webp", "image/gif"), required=True),
            Field("data", _PICTURE, required=True),
        )
    },
)
_TEXT_BLOCK: Final = _block("text", Field("text", PROSE, required=True))
_IMAGE_BLOCK: Final = _block("image", Field("source", _IMAGE_SOURCE, required=True))
_DOCUMENT_SOURCE: Final = Tagged(
    "type",
    {
        "text": Record(
            Field("type", Choice("text"), required=True),
            Field("media_type", Choice("text/plain")),
            Field("data", PROSE, required=True),
        ),
        "content": Record(
            Field("type", Choice("content"), required=True),
            Field(
                "content",
                Union(
                    PROSE,
                    Array(Tagged("type", {"text": _TEXT_BLOCK}), 0, _MANY),
                    hint="It must be a string or a list of text blocks.",
                ),
                required=True,
            ),
        ),
    },
)
_DOCUMENT_BLOCK: Final = _block(
    "document", Field("source", _DOCUMENT_SOURCE, required=True), Field("title", PROSE), Field("context", PROSE)
)
_SEARCH_RESULT: Final = _block(
    "search_result",
    Field("source", PROSE),
    Field("title", PROSE),
    Field("content", Array(Tagged("type", {"text": _TEXT_BLOCK}), 0, _MANY), required=True),
)
_SHOWN: Final = {
    "text": _TEXT_BLOCK,
    "image": _IMAGE_BLOCK,
    "document": _DOCUMENT_BLOCK,
    "search_result": _SEARCH_RESULT,
}
_RESULT: Final = Union(
    PROSE, Array(Tagged("type", _SHOWN), 0, _MANY), hint="It must be a string or a list of content blocks."
)
_BLOCKS: Final = {
    **_SHOWN,
    "tool_use": _block(
        "tool_use",
        Field("id", IDENTIFIER, required=True),
        Field("name", CALLED_NAME, required=True),
        Field("input", ARGUMENTS, required=True),
    ),
    "tool_result": _block(
        "tool_result",
        Field("tool_use_id", IDENTIFIER, required=True),
        Field("content", _RESULT),
        Field("is_error", FLAG),
    ),
    "thinking": _block("thinking", Field("thinking", PROSE, required=True), Field("signature", PROSE)),
}
_NOT_OURS: Final = re.compile(
    r"redacted_thinking|server_tool_use|mcp_tool_use|mcp_tool_result|container_upload|[a-z_]{1,64}_tool_result"
)


def _only_anthropics(block: JSON) -> bool:
    kind = type_of(block)
    return kind is not None and kind not in _BLOCKS and _NOT_OURS.fullmatch(kind) is not None


_CONTENT: Final = Union(
    PROSE,
    Array(Tagged("type", _BLOCKS), 0, _MANY, skip=_only_anthropics),
    hint="It must be a string or a list of content blocks.",
)
_MESSAGE: Final = Record(
    Field("role", Choice("user", "assistant", "system"), required=True), Field("content", _CONTENT, required=True)
)
_SYSTEM: Final = Union(
    PROSE, Array(Tagged("type", {"text": _TEXT_BLOCK}), 0, _MANY), hint="It must be a string or a list of text blocks."
)


def _servers_tool(tool: JSON) -> bool:
    return type_of(tool) not in {None, "custom"}


_TOOL: Final = Record(
    Field("type", Choice("custom")),
    Field("name", FUNCTION_NAME, required=True),
    Field("description", PROSE),
    Field("input_schema", SCHEMA, required=True),
    Field("strict", FLAG),
    dropped=("cache_control", "defer_loading", "eager_input_streaming", "input_examples", "allowed_callers"),
)
_PARALLEL: Final = Field("disable_parallel_tool_use", FLAG)
_TOOL_CHOICE: Final = Tagged(
    "type",
    {
        **{kind: Record(Field("type", Choice(kind), required=True), _PARALLEL) for kind in ("auto", "any", "none")},
        "tool": Record(
            Field("type", Choice("tool"), required=True), Field("name", FUNCTION_NAME, required=True), _PARALLEL
        ),
    },
)
_BUDGET: Final = Field("budget_tokens", Int(1, CEILINGS.max_tokens))
_THINKING: Final = Tagged(
    "type",
    {
        kind: Record(Field("type", Choice(kind), required=True), _BUDGET, dropped=("display",))
        for kind in ("enabled", "disabled", "adaptive")
    },
)
_FORMAT: Final = Tagged(
    "type",
    {
        "json_schema": Record(
            Field("type", Choice("json_schema"), required=True), Field("schema", SCHEMA, required=True)
        )
    },
)
_OUTPUT: Final = Record(
    Field("effort", Choice("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    Field("format", _FORMAT),
    dropped=("task_budget",),
)
_STOPS: Final = Array(Text(1, 1024), 0, 16)
_METADATA: Final = Record(Field("user_id", LABEL))

_USELESS: Final = (
    "betas",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
)
_PROMPT: Final = (
    MODEL,
    Field("messages", Array(_MESSAGE, 1, MAX_TURNS), required=True),
    Field("system", _SYSTEM),
    Field("tools", Array(_TOOL, 0, MAX_TOOLS, skip=_servers_tool)),
    Field("tool_choice", _TOOL_CHOICE),
    Field("thinking", _THINKING),
    Field("output_config", _OUTPUT),
)
MESSAGES_SPEC: Final = Record(
    *_PROMPT,
    Field("max_tokens", Int(1, CEILINGS.max_tokens), required=True),
    Field("stream", Flag()),
    Field("temperature", Number(0, 5)),
    Field("top_p", Number(0, 1)),
    Field("top_k", Int(-1, 100_000)),
    Field("stop_sequences", _STOPS),
    Field("metadata", _METADATA),
    dropped=_USELESS,
)
_OF_THE_ANSWER: Final = (
    "max_tokens",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
)
COUNT_SPEC: Final = Record(*_PROMPT, dropped=(*_USELESS, *_OF_THE_ANSWER))
"""`count_tokens`: what makes the prompt."""
