"""Ollama's own lines and documents -> the caller's. Pure but for the clocks; one `OllamaReading` per answer.

Only known members go on, all text in them is counted, the model's name is the caller's. `context`, the tokens of the
conversation so far, stays behind, as in the translated answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from edge.dialects import said
from edge.dialects.ollama.answer import OllamaRendering
from edge.dialects.writing import line, write
from edge.relay.chunks import error_code
from edge.relay.finishes import finished
from edge.relay.meter import tokens_of
from edge.relay.native.contract import Piece
from edge.relay.native.lines import LineDecoder
from edge.relay.usage import Reported, usage_object
from engines.adapters.failures import word
from policies.call import Call, Form
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_count, as_list, as_object, as_str

_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_COUNTS: Final = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)


class OllamaReading:
    """Of `/api/chat` and `/api/generate`. `rendering` makes what is not the engine's to say; `prompt`: the input's
    tokens as far as they are known before the engine says."""

    media_type = "application/x-ndjson"

    def __init__(self, call: Call, rendering: OllamaRendering, usage: Usage, prompt: int) -> None:
        self._model = call.model
        self._generates = call.form is Form.GENERATE
        self._rendering = rendering
        self._decoder = LineDecoder()
        self.usage = usage
        self._reported = Reported(usage)
        self._prompt = prompt
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
        for document in self._decoder.feed(block):
            shown, tokens = self._shown(document)
            self.tokens += tokens
            yield Piece(line(shown), tokens)
            if self.done:
                return

    def cut(self, written: int) -> bytes:
        """See `Reading`."""
        self.finish, self.done = "length", False
        told = usage_object(Usage(input=self.usage.input or self._prompt, output=written))
        last: Object = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
        return self._rendering.chunk(last) + self._rendering.end({"usage": told})

    def settle(self) -> bool:
        """See `Reading`."""
        return self._reported.settle(self.tokens)

    def whole(self, document: Object) -> Object:
        """See `Reading`."""
        shown, self.tokens = self._shown(document)
        if not self.done:
            raise EngineBroke("the answer has no end")
        return shown

    def _shown(self, document: Object) -> tuple[Object, int]:
        if "error" in document:
            raise EngineBroke(
                "error event: " + (error_code(document) if isinstance(document["error"], dict) else "text")
            )
        given = document if self._generates else as_object(document.get("message"))
        text = as_str(given.get("response" if self._generates else "content"))
        told: Object = {"response": text} if self._generates else {"role": "assistant", "content": text}
        tokens = tokens_of(text)
        if thought := as_str(given.get("thinking")):
            told["thinking"] = thought
            tokens += tokens_of(thought)
        if calls := as_list(given.get("tool_calls")):
            made, more = _calls(calls)
            told["tool_calls"] = made
            tokens += more
            self._called = True
        line: Object = {"model": self._model, "created_at": self._moment(document.get("created_at"))}
        line |= told if self._generates else {"message": told}
        self.done = document.get("done") is True
        return line | (self._ending(document) if self.done else {"done": False}), tokens

    def _ending(self, document: Object) -> Object:
        read, written = as_count(document.get("prompt_eval_count")), as_count(document.get("eval_count"))
        self._reported.read({"usage": {"prompt_tokens": read, "completion_tokens": written}})
        self.finish = finished(word(document.get("done_reason")), called=self._called)
        reason = "length" if self.finish == "length" else "stop"
        counts = {name: count for name in _COUNTS if (count := as_count(document.get(name))) is not None}
        return {"done": True, "done_reason": reason, **counts}

    def _moment(self, created: JSON) -> JSON:
        if isinstance(created, str) and _MOMENT.fullmatch(created):
            return created
        return self._rendering.moment()


def _calls(entries: list[JSON]) -> tuple[list[JSON], int]:
    """Calls of tools with their known members, and the tokens in them."""
    made: list[JSON] = []
    tokens = 0
    for item in entries:
        call = as_object(item)
        function = as_object(call.get("function"))
        name, given = as_str(function.get("name")), function.get("arguments", {})
        if not isinstance(given, dict):
            raise EngineBroke("arguments that are no JSON object")
        known: Object = {"name": said.called(name), "arguments": given}
        if (index := as_count(function.get("index"))) is not None:
            known = {"index": index, **known}
        identity = said.identity(call)
        made.append({"id": identity, "function": known} if identity else {"function": known})
        tokens += max(1, tokens_of(name + write(given).decode()))
    return made, tokens
