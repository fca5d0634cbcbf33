"""An engine's own Anthropic events and messages -> the caller's. Pure; one `AnthropicReading` per answer.

Only known events, blocks and members go on, all text in them is counted, ids and the model's name are ours. What
engines get wrong is put right here (read in their sources: llama.cpp b-2026-08 tools/server/server-task.cpp, ollama
0.32 anthropic/anthropic.go, vLLM entrypoints/anthropic/serving.py):

* llama-server writes `message_start` with its first token, and not at all if that token shows nothing yet (half a
  character) or nothing was said;
* it ends all blocks at the end, so that they overlap, and gives a call that begins before the text the text's index: so
  blocks are numbered here, and one ends where another begins;
* what its last result adds to a block begins that block once more;
* calls begin without `input`, thoughts without `signature`, and SDKs take both for granted;
* an answer that a stop sequence ended says `end_turn` beside it;
* what `message_start` says of the prompt's tokens is an estimate of Ollama's: it is shown, and charged only where
  `message_delta` says nothing; what it says of the answer's is nobody's count;
* errors in a stream are in OpenAI's form (llama-server).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from edge.dialects import said
from edge.dialects.anthropic.answer import STOPS
from edge.dialects.writing import event, write
from edge.relay.chunks import error_code
from edge.relay.finishes import finished
from edge.relay.meter import tokens_of
from edge.relay.native.contract import Piece
from edge.relay.native.lines import parsed
from edge.relay.sse import Event, SseDecoder
from edge.relay.usage import Reported
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_count, as_list, as_object, as_str

FINISHES: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_DELTAS: Final = {"text_delta": "text", "thinking_delta": "thinking"}
_KINDS: Final = frozenset({"text", "thinking"})


class _State(NamedTuple):
    """What the caller has been given: whether it began, which block is open, how many were."""

    begun: bool
    open: str
    blocks: int


class AnthropicReading:
    """`model` as the caller named it; `prompt`: the input's tokens as far as they are known before the engine says;
    `stops`: the sequences that may end it."""

    media_type = "text/event-stream"

    def __init__(self, model: str, request_id: str, usage: Usage, prompt: int, stops: Collection[str] = ()) -> None:
        self._message: Object = {
            "id": f"msg_{request_id}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        self._decoder = SseDecoder()
        self.usage = usage
        self._reported = Reported(usage)
        self._prompt = prompt
        self._stops = stops
        self._begun = False
        self._open = ""
        self._blocks = 0
        self._before = _State(begun=False, open="", blocks=0)
        self._first: Object = {}
        self._theirs: JSON = None  # the engine's index of the block that is open
        self._arguments: list[str] = []
        self._room = said.Room()  # for them: they are looked at when they are whole
        self._called = False
        self.done = False
        self.finish = ""
        self.tokens = 0

    @property
    def running(self) -> int:
        """See `Reading`."""
        return self._reported.output or 0

    def pieces(self, block: bytes) -> Iterator[Piece]:
        """See `Reading`."""
        for each in self._decoder.feed(block):
            self._before = _State(self._begun, self._open, self._blocks)
            piece = self._read(each)
            if piece is not None:
                self.tokens += piece.tokens
                yield piece
            if self.done:
                return

    def cut(self, written: int) -> bytes:
        """See `Reading`."""
        self._begun, self._open, self._blocks = self._before
        self._arguments.clear()
        self.finish = "length"
        return self._started() + self._closed() + self._last("max_tokens", None, written) + _STOP

    def settle(self) -> bool:
        """See `Reading`."""
        return self._reported.settle(self.tokens)

    def whole(self, document: Object) -> Object:
        """See `Reading`."""
        if document.get("type") != "message":
            raise EngineBroke("error in a 200 answer: " + error_code(document))
        blocks = [self._block(as_object(item)) for item in as_list(document.get("content"))]
        self._reported.read({"usage": _told(as_object(document.get("usage")))})
        reason, sequence = self._reason(document)
        ending: Object = {"stop_reason": reason, "stop_sequence": sequence, "usage": self._counts(self.tokens)}
        return {**self._message, "content": [block for block in blocks if block is not None], **ending}

    def _read(self, received: Event) -> Piece | None:
        document = parsed(received.data)
        kind = document.get("type")
        if received.failed or kind == "error" or "error" in document:
            raise EngineBroke("error event: " + error_code(document))
        match kind:
            case "content_block_delta":
                return self._delta(document, as_object(document.get("delta")))
            case "content_block_start":
                return self._start(document, as_object(document.get("content_block")))
            case "message_start":
                self._first = self._first or _of_prompt(as_object(as_object(document.get("message")).get("usage")))
                return Piece(started, 0) if (started := self._started()) else None
            case "message_delta":
                return self._end(document)
            case "message_stop":
                if not self.finish:
                    raise EngineBroke("the message ended without a reason")
                self.done = True
                return Piece(_STOP, 0)
            case _:  # pings (our own comments say that we wait), ends of blocks, what else engines invent
                return None

    def _delta(self, document: Object, delta: Object) -> Piece | None:
        kind = as_str(delta.get("type"))
        if (said_as := _DELTAS.get(kind)) is not None:
            text = as_str(delta.get(said_as))
            if not text:
                return None
            begin = b""
            if self._open != said_as:
                begin, self._theirs = self._opened(said_as), document.get("index")
            return Piece(begin + self._deltas({"type": kind, said_as: text}), tokens_of(text))
        if kind != "input_json_delta" or not (piece := as_str(delta.get("partial_json"))):
            return None
        if self._open != "tool_use" or document.get("index") != self._theirs:
            raise EngineBroke("pieces of several calls in turns")
        self._room.take(len(piece))
        self._arguments.append(piece)
        return Piece(self._deltas({"type": kind, "partial_json": piece}), max(1, tokens_of(piece)))

    def _start(self, document: Object, block: Object) -> Piece | None:
        kind, index = as_str(block.get("type")), document.get("index")
        again = self._open == kind and self._theirs == index
        if kind in _KINDS:
            begin = b"" if again else self._opened(kind)
            self._theirs = index
            text = as_str(block.get(kind))
            more = self._deltas({"type": f"{kind}_delta", kind: text}) if text else b""
            return Piece(begin + more, tokens_of(text)) if begin or more else None
        if kind != "tool_use" or again:
            return None
        name, identity = _named(block)
        begin = self._opened(kind, {"type": kind, "id": identity or self._id(), "name": name, "input": {}})
        self._theirs, self._called, self._room = index, True, said.Room()
        return Piece(begin, max(1, tokens_of(name)))

    def _end(self, document: Object) -> Piece | None:
        self._reported.read({"usage": self._first | _told(as_object(document.get("usage")))})
        delta = as_object(document.get("delta"))
        if delta.get("stop_reason") is None or self.finish:
            return None
        reason, sequence = self._reason(delta)
        return Piece(self._started() + self._closed() + self._last(reason, sequence, self.tokens), 0)

    def _started(self) -> bytes:
        """`message_start`, unless it is out."""
        if self._begun:
            return b""
        self._begun = True
        read = as_count(self._first.get("prompt_tokens")) or self._prompt
        cached = as_count(as_object(self._first.get("prompt_tokens_details")).get("cached_tokens")) or 0
        message = {**self._message, "usage": _usage(read, cached, 0)}
        return event("message_start", {"type": "message_start", "message": message})

    def _opened(self, kind: str, block: Object | None = None) -> bytes:
        """The beginning of a block, behind the end of the one before."""
        if self.finish:
            raise EngineBroke("the answer goes on behind its end")
        ended = self._started() + self._closed()
        empty: Object = {"type": kind, kind: ""}
        if kind == "thinking":
            empty["signature"] = ""
        self._open = kind
        begin: Object = {"type": "content_block_start", "index": self._blocks, "content_block": block or empty}
        return ended + event("content_block_start", begin)

    def _closed(self) -> bytes:
        """The end of the block that is open."""
        if not self._open:
            return b""
        signed = b""
        if self._open == "thinking":
            signed = self._deltas({"type": "signature_delta", "signature": ""})
        elif self._arguments:
            said.arguments("".join(self._arguments), self.finish)
            self._arguments.clear()
        ended = event("content_block_stop", {"type": "content_block_stop", "index": self._blocks})
        self._open = ""
        self._blocks += 1
        return signed + ended

    def _deltas(self, delta: Object) -> bytes:
        return event("content_block_delta", {"type": "content_block_delta", "index": self._blocks, "delta": delta})

    def _last(self, reason: str, sequence: JSON, written: int) -> bytes:
        delta: Object = {"stop_reason": reason, "stop_sequence": sequence}
        return event("message_delta", {"type": "message_delta", "delta": delta, "usage": self._counts(written)})

    def _reason(self, ended: Object) -> tuple[str, str | None]:
        """Why it ended, as Anthropic would say; EngineBroke if it has not. Notes it in OpenAI's words."""
        reason = as_str(ended.get("stop_reason"))
        if not reason:
            raise EngineBroke("the message ended without a reason")
        if reason not in FINISHES:
            reason = STOPS[finished(reason, called=False)]
        sequence = as_str(ended.get("stop_sequence")) or None
        sequence = sequence if sequence in self._stops else None
        if self._called and reason == "end_turn":
            reason = "tool_use"
        elif sequence is not None and reason == "end_turn":
            reason = "stop_sequence"
        self.finish = FINISHES[reason]
        return reason, sequence if reason == "stop_sequence" else None

    def _counts(self, written: int) -> Object:
        """What it took; `written` is the count of the pieces, for an engine that has not counted."""
        read = self.usage.input or self._prompt
        return _usage(read, self.usage.cached or 0, self.running or written)

    def _block(self, block: Object) -> Object | None:
        kind = as_str(block.get("type"))
        if kind in _KINDS:
            text = as_str(block.get(kind))
            self.tokens += tokens_of(text)
            self._blocks += 1
            found: Object = {"type": kind, kind: text}
            return found | {"signature": ""} if kind == "thinking" else found
        if kind != "tool_use":
            return None
        name, identity = _named(block)
        given = block.get("input", {})
        if not isinstance(given, dict):
            raise EngineBroke("arguments that are no JSON object")
        self.tokens += max(1, tokens_of(name + write(given).decode()))
        found = {"type": kind, "id": identity or self._id(), "name": name, "input": given}
        self._called = True
        self._blocks += 1
        return found

    def _id(self) -> str:
        return f"toolu_{as_str(self._message['id'])[4:]}_{self._blocks}"


def _of_prompt(usage: Object) -> Object:
    """What is said of the prompt, as OpenAI says it."""
    fresh, cached = as_count(usage.get("input_tokens")), as_count(usage.get("cache_read_input_tokens"))
    if fresh is None:
        return {}
    return {"prompt_tokens": fresh + (cached or 0), "prompt_tokens_details": {"cached_tokens": cached}}


def _told(usage: Object) -> Object:
    """The same with what is said of the answer."""
    return _of_prompt(usage) | ({"completion_tokens": usage["output_tokens"]} if "output_tokens" in usage else {})


def _usage(read: int, cached: int, written: int) -> Object:
    return {
        "input_tokens": max(0, read - cached),
        "output_tokens": written,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": min(cached, read),
    }


_STOP: Final = event("message_stop", {"type": "message_stop"})


def _named(block: Object) -> tuple[str, str]:
    """The function that is called, and the call's id."""
    return said.called(as_str(block.get("name"))), said.identity(block)
