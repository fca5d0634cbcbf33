"""What OpenAI's Responses route takes. Names and types: openai-python 3.52, `types/responses/response_create_params.py`
and `response_input_item_param.py`; facts/engines.md 4.2.

Items and tools that only OpenAI's own servers can run are dropped and named, since agents send them beside their own
(Codex: `web_search`, `namespace`). What would make the model answer about something that it never saw is refused:
files, addresses of pictures, compacted conversations. What the gateway cannot do at all (`background`, `conversation`,
`prompt`) is refused with a hint that says what to do instead.
"""

from __future__ import annotations

import re
from typing import Final

from edge.intake.fields import Field, Record, Trail, fail
from edge.intake.kinds import Array, Tagged, Union, type_of
from edge.intake.leaves import Choice, Int, Never, Number
from edge.intake.openai_messages import (
    CALLED_NAME,
    FUNCTION_NAME,
    IDENTIFIER,
    IMAGE_URL,
    MAX_TOOLS,
    MAX_TURNS,
    PROSE,
    SCHEMA,
    other_tool,
)
from edge.intake.openai_params import CEILINGS, FLAG, LABEL, METADATA, MODEL
from policies.json import JSON, Object, as_list, as_object

MESSAGE: Final = "message"
REFERENCE: Final = "item_reference"
LOGPROBS: Final = "message.output_text.logprobs"
_MANY: Final = 1024
_ITEM_NOTES: Final = ("id", "status", "phase", "created_by", "caller", "namespace", "async")


def _part(name: str, *fields: Field, dropped: tuple[str, ...] = ()) -> Record:
    return Record(Field("type", Choice(name), required=True), *fields, dropped=dropped)


def _item(name: str, *fields: Field) -> Record:
    return _part(name, *fields, dropped=_ITEM_NOTES)


_TEXT: Final = _part("input_text", Field("text", PROSE, required=True), dropped=("prompt_cache_breakpoint",))
_PICTURE: Final = _part(
    "input_image",
    Field("image_url", IMAGE_URL, required=True),
    Field("detail", Choice("auto", "low", "high", "original")),
    Field("file_id", Never("Files are not kept here: send the image as a data: URL.")),
    dropped=("prompt_cache_breakpoint",),
)
_SHOWN: Final = {"input_text": _TEXT, "input_image": _PICTURE}
_SAID: Final = {
    "output_text": _part("output_text", Field("text", PROSE, required=True), dropped=("annotations", "logprobs")),
    "refusal": _part("refusal", Field("refusal", PROSE, required=True)),
}
_CONTENT: Final = Union(
    PROSE,
    Array(Tagged("type", {**_SHOWN, **_SAID}), 0, _MANY),
    hint="It must be a string or a list of content parts.",
)
_OUTPUT: Final = Union(
    PROSE, Array(Tagged("type", _SHOWN), 0, _MANY), hint="It must be a string or a list of texts and images."
)
_SUMMARY: Final = _part("summary_text", Field("text", PROSE, required=True))
_THOUGHT: Final = _part("reasoning_text", Field("text", PROSE, required=True))


def _message_rule(message: Object, at: Trail) -> None:
    content = message["content"]
    if message["role"] != "user" and any(as_object(part)["type"] == "input_image" for part in as_list(content)):
        fail((at, "content"), "Only a user's message may have images.")


_CASES: Final = {
    MESSAGE: Record(
        Field("type", Choice(MESSAGE)),
        Field("role", Choice("user", "assistant", "system", "developer"), required=True),
        Field("content", _CONTENT, required=True),
        dropped=_ITEM_NOTES,
        rule=_message_rule,
    ),
    "function_call": _item(
        "function_call",
        Field("call_id", IDENTIFIER, required=True),
        Field("name", CALLED_NAME, required=True),
        Field("arguments", PROSE, required=True),
    ),
    "function_call_output": _item(
        "function_call_output",
        Field("call_id", IDENTIFIER, required=True),
        Field("output", _OUTPUT, required=True),
        Field("name", CALLED_NAME),
    ),
    "reasoning": Record(
        Field("type", Choice("reasoning"), required=True),
        Field("summary", Array(Tagged("type", {"summary_text": _SUMMARY}), 0, _MANY)),
        Field("content", Array(Tagged("type", {"reasoning_text": _THOUGHT}), 0, _MANY)),
        dropped=(*_ITEM_NOTES, "encrypted_content"),
    ),
    REFERENCE: _part(REFERENCE, Field("id", IDENTIFIER, required=True)),
}
# Calls that OpenAI's servers or a client's own kinds of tools made, and what came of them.
_NOT_OURS: Final = re.compile(
    r"(?:web_search|file_search|code_interpreter|image_generation|computer|local_shell|shell|apply_patch|custom_tool"
    r"|tool_search)_(?:call|output|call_output)|mcp_(?:call|list_tools|approval_request|approval_response)"
    r"|additional_tools|configuration_update|program|program_output"
)


def _only_others(item: JSON) -> bool:
    kind = type_of(item)
    return kind is not None and _NOT_OURS.fullmatch(kind) is not None


_INPUT: Final = Union(
    PROSE,
    Array(Tagged("type", _CASES, default=MESSAGE), 0, MAX_TURNS, skip=_only_others),
    hint="It must be a string or a list of input items.",
)


_TOOL: Final = _part(
    "function",
    Field("name", FUNCTION_NAME, required=True),
    Field("description", PROSE),
    Field("parameters", SCHEMA),
    Field("strict", FLAG),
    dropped=("allowed_callers", "async", "defer_loading", "output_schema"),
)
_NAMED: Final = _part("function", Field("name", FUNCTION_NAME, required=True))
_TOOL_CHOICE: Final = Union(
    Choice("none", "auto", "required"),
    Tagged(
        "type",
        {
            "function": _NAMED,
            "allowed_tools": _part(
                "allowed_tools",
                Field("mode", Choice("auto", "required"), required=True),
                Field("tools", Array(_NAMED, 0, MAX_TOOLS, skip=other_tool), required=True),
            ),
        },
    ),
    hint="It must be none, auto, required, a function or allowed_tools.",
)
_FORMAT: Final = Tagged(
    "type",
    {
        "text": _part("text"),
        "json_object": _part("json_object"),
        "json_schema": _part(
            "json_schema",
            Field("name", FUNCTION_NAME, required=True),
            Field("schema", SCHEMA, required=True),
            Field("description", PROSE),
            Field("strict", FLAG),
        ),
    },
)
_REASONING: Final = Record(
    Field("effort", Choice("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    Field("summary", Choice("auto", "concise", "detailed")),
    dropped=("context", "generate_summary", "mode"),
)
_INCLUDED: Final = frozenset({"reasoning.encrypted_content", LOGPROBS})
# The others are about tools and files that do not exist here: nothing to include is what one gets.
_INCLUDE: Final = Array(
    Choice(*sorted(_INCLUDED)), 0, 64, skip=lambda name: isinstance(name, str) and name not in _INCLUDED
)

_USELESS: Final = (
    "access_programs",
    "client_metadata",
    "context_management",
    "image",
    "max_tool_calls",
    "moderation",
    "personality",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    # Nothing is cut out of a conversation here: what does not fit is refused by the engine.
    "truncation",
)
_PROMPT: Final = (
    MODEL,
    Field("input", _INPUT, required=True),
    Field("instructions", PROSE),
    Field("previous_response_id", IDENTIFIER),
    Field("tools", Array(_TOOL, 0, MAX_TOOLS, skip=other_tool)),
    Field("tool_choice", _TOOL_CHOICE),
    Field("parallel_tool_calls", FLAG),
    Field("reasoning", _REASONING),
    Field("text", Record(Field("format", _FORMAT), dropped=("verbosity",))),
    Field("conversation", Never("Conversations are not offered: use previous_response_id, or send all items.")),
    Field("prompt", Never("Stored prompts are not offered: send instructions and input.")),
)
RESPONSES_SPEC: Final = Record(
    *_PROMPT,
    Field("max_output_tokens", Int(1, CEILINGS.max_tokens)),
    Field("stream", FLAG),
    Field("store", FLAG),
    Field("temperature", Number(0, 5)),
    Field("top_p", Number(0, 1)),
    Field("top_logprobs", Int(0, 20)),
    Field("include", _INCLUDE),
    Field("metadata", METADATA),
    Field("user", LABEL),
    Field("background", Never("Nothing runs in the background: leave it out, and stream.", but=False)),
    dropped=_USELESS,
)
_OF_THE_ANSWER: Final = (
    "background",
    "include",
    "max_output_tokens",
    "metadata",
    "store",
    "stream",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
INPUT_TOKENS_SPEC: Final = Record(*_PROMPT, dropped=(*_USELESS, *_OF_THE_ANSWER))
"""`input_tokens`: what makes the prompt."""
