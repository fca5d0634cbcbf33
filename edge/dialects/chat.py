"""OpenAI's chat and text completions: the internal form itself. Source: the OpenAI API reference, Chat completions."""

from __future__ import annotations

from typing import Final

from edge.dialects.writing import write
from policies.json import Object

SSE_TYPE: Final = "text/event-stream; charset=utf-8"
_DONE: Final = b"data: [DONE]\n\n"


class OpenAiRendering:
    """`include_usage`: whether the caller asked for the chunk with the usage."""

    content_type = SSE_TYPE
    comments = True
    paced = False

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage

    def begin(self, _prompt: int) -> bytes:
        """Nothing."""
        return b""

    def chunk(self, chunk: Object) -> bytes:
        """One event."""
        return b"data: " + write(chunk) + b"\n\n"

    def end(self, final: Object) -> bytes:
        """The usage if asked for, then `[DONE]`."""
        return b"data: " + write(final) + b"\n\n" + _DONE if self._include_usage else _DONE

    def whole(self, answer: Object) -> Object:
        """As it is."""
        return answer
