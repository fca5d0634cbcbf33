"""Chat answers as Anthropic messages, whole and streamed. Pure; one `AnthropicRendering` per answer.

Source: anthropic-sdk-python, `types/raw_message_stream_event.py` and what follows from it, `_streaming.py` (2.11);
facts/engines.md 4.1. Blocks come strictly one after the other, with indices from 0; a thought has a signature that is
empty, since nobody here can check one.
"""

from __future__ import annotations

from typing import Final

from edge.dialects import said
from edge.dialects.chat import SSE_TYPE
from edge.dialects.writing import event
from policies.json import JSON, Object, as_list, as_object, as_str

STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Why an answer ended: OpenAI's word, Anthropic's."""


class AnthropicRendering:
    """`model` as the caller named it."""

    content_type = SSE_TYPE
    comments = True
    paced = False

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
        self._room = said.Room()  # for them: they are looked at when they are whole
        self._finish = ""
        self._sequence: str | None = None

    def begin(self, prompt: int) -> bytes:
        """`message_start`. The prompt's tokens are not known yet where the engine counts them at the end."""
        usage: Object = {"input_tokens": prompt, "output_tokens": 0}
        return event("message_start", {"type": "message_start", "message": {**self._message, "usage": usage}})

    def chunk(self, chunk: Object) -> bytes:
        """Of the only choice that there is."""
        events: list[bytes] = []
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
        choice = said.choice(answer)
        self._note_end(choice)
        message = as_object(choice.get("message"))
        blocks: list[JSON] = []
        if thought := said.thought(message):
            blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
        if text := said.text(message):
            blocks.append({"type": "text", "text": text})
        for item in as_list(message.get("tool_calls")):
            call = as_object(item)
            name = said.new_call(call)
            given = said.arguments(as_str(as_object(call.get("function")).get("arguments")), self._finish)
            blocks.append({"type": "tool_use", "id": self._id(call), "name": name, "input": given})
            self._blocks += 1
        ending: Object = {"stop_reason": self._reason(), "stop_sequence": self._sequence}
        return {**self._message, "content": blocks, **ending, "usage": _usage(answer)}

    def _add(self, delta: Object, events: list[bytes]) -> None:
        if thought := said.thought(delta):
            self._say("thinking", thought, events)
        if text := said.text(delta):
            self._say("text", text, events)
        for item in as_list(delta.get("tool_calls")):
            self._add_call(as_object(item), events)

    def _say(self, kind: str, text: str, events: list[bytes]) -> None:
        if self._open != kind:
            empty: Object = {"type": kind, kind: ""}
            self._begin(kind, empty | {"signature": ""} if kind == "thinking" else empty, events)
        events.append(self._delta({"type": f"{kind}_delta", kind: text}))

    def _add_call(self, call: Object, events: list[bytes]) -> None:
        index = call.get("index")
        if self._open != "tool_use" or index != self._call:
            name = said.new_call(call)
            self._begin("tool_use", {"type": "tool_use", "id": self._id(call), "name": name, "input": {}}, events)
            self._call, self._room = index, said.Room()
        if piece := as_str(as_object(call.get("function")).get("arguments")):
            self._room.take(len(piece))
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
            said.arguments("".join(self._arguments), self._finish)
            self._arguments.clear()
        events.append(event("content_block_stop", {"type": "content_block_stop", "index": self._blocks}))
        self._open = ""
        self._blocks += 1

    def _delta(self, delta: Object) -> bytes:
        return event("content_block_delta", {"type": "content_block_delta", "index": self._blocks, "delta": delta})

    def _id(self, call: Object) -> str:
        return said.identity(call) or f"toolu_{as_str(self._message['id'])[4:]}_{self._blocks}"

    def _note_end(self, choice: Object) -> None:
        self._finish = as_str(choice.get("finish_reason")) or self._finish
        # vLLM's and llama-server's word for the sequence that ended it; numbers are ids of tokens.
        self._sequence = as_str(choice.get("stop_reason")) or self._sequence

    def _reason(self) -> str:
        if self._sequence is not None and self._finish == "stop":
            return "stop_sequence"
        return STOPS.get(self._finish, "end_turn")


def _usage(document: Object) -> Object:
    usage = said.usage(document)
    return {
        "input_tokens": usage.read - usage.cached,
        "output_tokens": usage.written,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
    }
