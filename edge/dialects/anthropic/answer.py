"""Chat answers as Anthropic messages, whole and streamed. Pure; one `AnthropicRendering` per answer.

Source: anthropic-sdk-python, `types/raw_message_stream_event.py` and what follows from it, `_streaming.py` (2.11);
facts/engines.md 4.1. Blocks come strictly one after the other, with indices from 0; a thought has a signature that is
empty, since nobody here can check one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from edge.dialects.chat import SSE_TYPE
from edge.dialects.functions import thought
from edge.dialects.writing import event
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_count, as_list, as_object, as_str

_STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class AnthropicRendering:
    """`model` as the caller named it."""

    content_type = SSE_TYPE

    def __init__(self, model: str, request_id: str) -> None:
        self._message: Object = {
            "id": f"msg_{request_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        self._blocks = 0
        self._open = ""  # the kind of the block that is open
        self._call: JSON = None  # the index of the call that is open
        self._arguments: list[str] = []
        self._called = False
        self._finish = ""
        self._sequence: str | None = None

    def begin(self, prompt: int) -> bytes:
        """`message_start`. The prompt's tokens are not known yet where the engine counts them at the end."""
        usage: Object = {"input_tokens": prompt, "output_tokens": 0}
        return event("message_start", {"type": "message_start", "message": {**self._message, "usage": usage}})

    def chunks(self, chunks: Iterable[Object]) -> bytes:
        """Of the only choice that there is."""
        events: list[bytes] = []
        for chunk in chunks:
            for item in as_list(chunk.get("choices")):
                choice = as_object(item)
                self._add(as_object(choice.get("delta")), events)
                self._note_end(choice)
        return b"".join(events)

    def end(self, final: Object) -> bytes:
        """The last block's end, why it ended, what it cost."""
        events: list[bytes] = []
        self._close(events)
        delta: Object = {"stop_reason": self._reason(), "stop_sequence": self._sequence}
        events.append(event("message_delta", {"type": "message_delta", "delta": delta, "usage": _usage(final)}))
        events.append(event("message_stop", {"type": "message_stop"}))
        return b"".join(events)

    def whole(self, answer: Object) -> Object:
        """The message."""
        choice = as_object(next(iter(as_list(answer.get("choices"))), None))
        self._note_end(choice)
        message = as_object(choice.get("message"))
        blocks: list[JSON] = []
        if said := thought(message):
            blocks.append({"type": "thinking", "thinking": said, "signature": ""})
        if text := _text(message):
            blocks.append({"type": "text", "text": text})
        for item in as_list(message.get("tool_calls")):
            call = as_object(item)
            self._called = True
            function = as_object(call.get("function"))
            given = self._input(as_str(function.get("arguments")))
            blocks.append(
                {"type": "tool_use", "id": self._id(call), "name": as_str(function.get("name")), "input": given}
            )
            self._blocks += 1
        ending: Object = {"stop_reason": self._reason(), "stop_sequence": self._sequence}
        return {**self._message, "content": blocks, **ending, "usage": _usage(answer)}

    def _add(self, delta: Object, events: list[bytes]) -> None:
        if said := thought(delta):
            self._say("thinking", said, events)
        if text := _text(delta):
            self._say("text", text, events)
        for item in as_list(delta.get("tool_calls")):
            self._add_call(as_object(item), events)

    def _say(self, kind: str, text: str, events: list[bytes]) -> None:
        if self._open != kind:
            empty: Object = {"type": kind, kind: ""}
            self._begin(kind, empty | {"signature": ""} if kind == "thinking" else empty, events)
        events.append(self._delta({"type": f"{kind}_delta", kind: text}))

    def _add_call(self, call: Object, events: list[bytes]) -> None:
        function = as_object(call.get("function"))
        index = call.get("index")
        if self._open != "tool_use" or index != self._call:
            name = as_str(function.get("name"))
            if not name:  # of a call whose block is closed, or that never was introduced
                raise EngineBroke("pieces of several calls in turns")
            self._begin("tool_use", {"type": "tool_use", "id": self._id(call), "name": name, "input": {}}, events)
            self._call, self._called = index, True
        if piece := as_str(function.get("arguments")):
            self._arguments.append(piece)
            events.append(self._delta({"type": "input_json_delta", "partial_json": piece}))

    def _begin(self, kind: str, block: Object, events: list[bytes]) -> None:
        self._close(events)
        self._open = kind
        start: Object = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        events.append(event("content_block_start", start))

    def _close(self, events: list[bytes]) -> None:
        if not self._open:
            return
        if self._open == "thinking":
            events.append(self._delta({"type": "signature_delta", "signature": ""}))
        elif self._open == "tool_use":
            self._input("".join(self._arguments))
            self._arguments.clear()
        events.append(event("content_block_stop", {"type": "content_block_stop", "index": self._blocks}))
        self._open = ""
        self._blocks += 1

    def _delta(self, delta: Object) -> bytes:
        return event("content_block_delta", {"type": "content_block_delta", "index": self._blocks, "delta": delta})

    def _id(self, call: Object) -> str:
        return as_str(call.get("id")) or f"toolu_{as_str(self._message['id'])[4:]}_{self._blocks}"

    def _input(self, arguments: str) -> Object:
        """EngineBroke unless it is an object; what ends at the limit of tokens ends anywhere."""
        try:
            given: JSON = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            given = None
        if isinstance(given, dict):
            return given
        if self._finish == "length":
            return {}
        raise EngineBroke("arguments that are no JSON object")

    def _note_end(self, choice: Object) -> None:
        self._finish = as_str(choice.get("finish_reason")) or self._finish
        # vLLM's and llama-server's word for the sequence that ended it; numbers are ids of tokens.
        self._sequence = as_str(choice.get("stop_reason")) or self._sequence

    def _reason(self) -> str:
        if self._called and self._finish == "stop":
            return "tool_use"  # some engines end a call with `stop`, and agents would take the turn for over
        if self._sequence is not None and self._finish == "stop":
            return "stop_sequence"
        return _STOPS.get(self._finish, "end_turn")


def _text(said: Object) -> str:
    return as_str(said.get("content")) + as_str(said.get("refusal"))


def _usage(document: Object) -> Object:
    usage = as_object(document.get("usage"))
    cached = as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
    read = as_count(usage.get("prompt_tokens")) or 0
    return {
        "input_tokens": max(read - cached, 0),
        "output_tokens": as_count(usage.get("completion_tokens")) or 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": min(cached, read),
    }
