"""Messages and tools of the OpenAI dialect: who said what, with which pictures, and what may be called.

Media come as `data:` URLs only: fetching an address that a caller chose is how engines were made to reach into the
network (vLLM CVE-2025-6242, CVE-2026-24779; facts/security.md 3.2), and the media types are a list because a
`data:video` of thousands of frames filled an engine's memory (CVE-2026-5497). A part that we cannot pass on (`file`,
`video_url`) is refused, not dropped: the model would answer about a document that it never saw. A tool that no engine
here can run (`web_search`, `namespace`, `custom`) is dropped and named, since agents send them beside their own
(facts/clients.md 1.8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge.intake.fields import Field, Notes, Record, Trail, fail
from edge.intake.kinds import Array, Tagged, Union, type_of
from edge.intake.leaves import Choice, Flag, Free, Text
from policies.json import JSON, Object
from policies.reasons import Reason

MAX_MEDIA: Final = 32  # pictures and sounds in one request, all turns together
MAX_TOOLS: Final = 256
MAX_TURNS: Final = 10_000
# Agents' tool schemas are 1-4 KB; 32 levels and 5,000 parts are beyond any that we saw, and a schema becomes a grammar
# in the engine (facts 3.3: "json_schema size").
SCHEMA: Final = Free(size=128 * 1024, depth=32, nodes=5_000, schema=True)
# What a model once called a function with, where a dialect has it as an object: it goes back to the engine as the text
# that it was. Agents write whole files that way.
ARGUMENTS: Final = Free(size=4 * 1024 * 1024, depth=32, nodes=50_000, schema=False)

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_IMAGE: Final = re.compile(r"data:image/(?:png|jpeg|webp|gif);base64,", re.ASCII)

PROSE: Final = Text()
IDENTIFIER: Final = Text(
    1, 256, re.compile(r"[^\x00-\x1f\x7f]*"), "It must be a string of 1 to 256 characters without control characters."
)
FUNCTION_NAME: Final = Text(
    1, 128, re.compile(r"[A-Za-z0-9_.-]*"), "It must be 1 to 128 of: letters, digits, underscore, dot, hyphen."
)


def is_base64(text: str) -> bool:
    """Whether `text` is non-empty standard base64 by its alphabet; 16 MiB take 6 ms, a regular expression 60."""
    digits = text.removesuffix("=").removesuffix("=")
    return bool(digits) and digits.isascii() and not digits.encode().translate(None, _BASE64)


@dataclass(frozen=True, slots=True)
class Media:
    """Base64 behind a head that matches `head` (None: bare base64); counts against MAX_MEDIA."""

    head: re.Pattern[str] | None
    hint: str
    types: frozenset[type] = frozenset({str})

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        if not isinstance(value, str):
            fail(at, self.hint)
        start = 0
        if self.head is not None:
            match = self.head.match(value)
            if match is None:
                fail(at, self.hint)
            start = match.end()
        if not is_base64(value[start:]):
            fail(at, self.hint)
        notes.media += 1
        if notes.media > MAX_MEDIA:
            fail(at, f"There may be at most {MAX_MEDIA} images and sounds in a request.")
        return value


IMAGE_URL: Final = Media(
    _IMAGE, "It must be a data: URL of image/png, jpeg, webp or gif in base64; others are not fetched."
)
SOUND: Final = Media(None, "It must be base64.")


def _part(name: str, *fields: Field) -> Record:
    return Record(Field("type", Choice(name), required=True), *fields)


_IMAGE_PART: Final = Record(
    Field("url", IMAGE_URL, required=True), Field("detail", Choice("auto", "low", "high", "original"))
)
_SOUND_PART: Final = Record(
    Field("data", SOUND, required=True), Field("format", Choice("wav", "mp3", "flac", "ogg", "m4a"), required=True)
)
PART: Final = Tagged(
    "type",
    {
        "text": _part("text", Field("text", PROSE, required=True)),
        "image_url": _part("image_url", Field("image_url", _IMAGE_PART, required=True)),
        "input_audio": _part("input_audio", Field("input_audio", _SOUND_PART, required=True)),
        "refusal": _part("refusal", Field("refusal", PROSE, required=True)),
    },
)
CONTENT: Final = Union(PROSE, Array(PART, 1, 1024), hint="It must be a string or a list of 1 to 1024 content parts.")

CALLED_NAME: Final = IDENTIFIER
"""Of a function that a model has called: models call what is not there (`functions.f:0`, `look up`), agents tell them
so, and the conversation goes on."""
_CALLED: Final = Record(Field("name", CALLED_NAME, required=True), Field("arguments", PROSE, required=True))
TOOL_CALL: Final = Record(
    Field("id", IDENTIFIER),
    Field("type", Choice("function")),
    Field("function", _CALLED, required=True),
    dropped=("index",),
)


def _message_rule(message: Object, at: Trail) -> None:
    # Engines fall over a turn without content (mlx_lm closes the connection: a 502 that would be the caller's doing).
    # An assistant's turn may be nothing but calls or thoughts; the gateway does not judge that.
    if message["role"] != "assistant" and message.get("content") is None:
        fail((at, "content"), None, Reason.MISSING_PARAMETER)


MESSAGE: Final = Record(
    Field("role", Choice("system", "developer", "user", "assistant", "tool", "function"), required=True),
    Field("content", CONTENT, nullable=True),
    Field("name", IDENTIFIER),
    Field("tool_calls", Array(TOOL_CALL, 0, 256)),
    Field("tool_call_id", IDENTIFIER),
    Field("reasoning_content", PROSE),
    Field("reasoning", PROSE),
    Field("refusal", PROSE),
    dropped=("audio", "annotations", "function_call"),
    rule=_message_rule,
)
MESSAGES: Final = Array(MESSAGE, 1, MAX_TURNS)

_FUNCTION: Final = Record(
    Field("name", FUNCTION_NAME, required=True),
    Field("description", PROSE),
    Field("parameters", SCHEMA),
    Field("strict", Flag()),
)
_TOOL: Final = Record(Field("type", Choice("function"), required=True), Field("function", _FUNCTION, required=True))


def other_tool(tool: JSON) -> bool:
    """Whether `tool` is known to be no function."""
    return type_of(tool) not in {None, "function"}


TOOLS: Final = Array(_TOOL, 0, MAX_TOOLS, skip=other_tool)

_NAMED: Final = Record(Field("name", FUNCTION_NAME, required=True))
TOOL_CHOICE: Final = Union(
    Choice("none", "auto", "required"),
    Tagged("type", {"function": _part("function", Field("function", _NAMED, required=True))}),
    hint="It must be none, auto, required or a function.",
)

_JSON_SCHEMA: Final = Record(
    Field("name", FUNCTION_NAME),
    Field("description", PROSE),
    Field("schema", SCHEMA),
    Field("strict", Flag()),
)
RESPONSE_FORMAT: Final = Tagged(
    "type",
    {
        "text": _part("text"),
        "json_object": _part("json_object", Field("schema", SCHEMA)),
        "json_schema": _part("json_schema", Field("json_schema", _JSON_SCHEMA, required=True)),
    },
)
