"""A stream of chunks -> one complete answer. Pure, linear: pieces are kept as they come and joined once.

For engines that notice a leaving caller only while they stream (mlx-lm, llama-cpp-python): the gateway always streams
from them and puts the answer together itself, so that cancelling works for callers who do not stream too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from edge.relay.deltas import INPUTS
from edge.relay.usage import usage_object
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object, as_str

_HEAD: Final = ("id", "created", "model", "system_fingerprint", "timings")
_TEXTS: Final = ("content", "reasoning", "reasoning_content", "refusal")


@dataclass(slots=True)
class _Tool:
    """A call of a function or a custom tool, in fragments."""

    id: str = ""
    kind: str = "function"
    name: str = ""
    written: list[str] = field(default_factory=list)

    def add_call(self, call: Object) -> None:
        self.id = self.id or as_str(call.get("id"))
        if isinstance(call.get("custom"), dict):
            self.kind = "custom"
        self.add(as_object(call.get(self.kind)))

    def add(self, piece: Object) -> None:
        # Some engines repeat the whole name on every fragment, none splits it: the first one stands.
        self.name = self.name or as_str(piece.get("name"))
        self.written.append(as_str(piece.get(INPUTS[self.kind])))

    def fold(self) -> None:
        self.written[:] = ["".join(self.written)]

    def document(self) -> Object:
        return {"name": self.name, INPUTS[self.kind]: "".join(self.written)}

    def call(self) -> Object:
        return {"id": self.id, "type": self.kind, self.kind: self.document()}


@dataclass(slots=True)
class _Choice:
    """One choice, in pieces. `calls` are keyed by the index that `Fragments` gave them."""

    role: str = "assistant"
    texts: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[int, _Tool] = field(default_factory=dict)
    function: _Tool | None = None
    logprobs: Object | None = None
    finish: JSON = None

    def add(self, entry: Object) -> None:
        delta = entry.get("delta")
        if isinstance(delta, dict):
            self._add_delta(delta)
        elif isinstance(entry.get("text"), str):
            self._add_text("text", as_str(entry["text"]))
        self.finish = entry.get("finish_reason") or self.finish
        if isinstance(entry.get("logprobs"), dict):
            self.logprobs = {} if self.logprobs is None else self.logprobs
            _extend(self.logprobs, as_object(entry["logprobs"]))

    def _add_delta(self, delta: Object) -> None:
        self.role = as_str(delta.get("role")) or self.role
        for key in _TEXTS:
            piece = delta.get(key)
            if isinstance(piece, str):
                self._add_text(key, piece)
        for position, entry in enumerate(as_list(delta.get("tool_calls"))):
            call = as_object(entry)
            index = call.get("index", position)
            kept = self.calls.setdefault(index if isinstance(index, int) else position, _Tool())
            kept.add_call(call)
        if isinstance(delta.get("function_call"), dict):
            self.function = self.function or _Tool()
            self.function.add(as_object(delta["function_call"]))

    def _add_text(self, key: str, piece: str) -> None:
        self.texts.setdefault(key, []).append(piece)

    def fold(self) -> None:
        for pieces in self.texts.values():
            pieces[:] = ["".join(pieces)]
        for call in (*self.calls.values(), *([] if self.function is None else [self.function])):
            call.fold()

    def message(self) -> Object:
        """The message of a chat answer; `content` is null where nothing was said."""
        message: Object = {"role": self.role, "content": None}
        message.update({key: "".join(pieces) for key, pieces in self.texts.items()})
        if self.calls:
            message["tool_calls"] = [call.call() for call in self.calls.values()]
        if self.function is not None:
            message["function_call"] = self.function.document()
        return message

    def document(self, index: int, *, chat: bool) -> Object:
        said: Object = {"message": self.message()} if chat else {"text": "".join(self.texts.get("text", ()))}
        return {"index": index, **said, "logprobs": self.logprobs, "finish_reason": self.finish}


class Aggregate:
    """Add every chunk in turn, then take the `answer`."""

    __slots__ = ("_choices", "_head")

    def __init__(self) -> None:
        self._head: Object = {}
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: Object) -> None:
        """Merge one chunk (as `ChunkReader.read` returned it)."""
        for key in _HEAD:
            if key in chunk:
                self._head[key] = chunk[key]
        for item in as_list(chunk.get("choices")):
            entry = as_object(item)
            index = entry.get("index", 0)
            self._choices.setdefault(index if isinstance(index, int) else 0, _Choice()).add(entry)

    def fold(self) -> None:
        """Join what came so far: a small piece takes ten times the memory of what it says. Not too often."""
        for choice in self._choices.values():
            choice.fold()

    def answer(self, usage: Usage, *, chat: bool) -> Object:
        """The complete answer: `chat.completion` if `chat`, else `text_completion`."""
        return {
            **self._head,
            "object": "chat.completion" if chat else "text_completion",
            "choices": [choice.document(index, chat=chat) for index, choice in sorted(self._choices.items())],
            "usage": usage_object(usage),
        }


def _extend(kept: Object, piece: Object) -> None:
    for key, value in piece.items():
        have = kept.get(key)
        if isinstance(have, list) and isinstance(value, list):
            have.extend(value)
        elif value is not None or key not in kept:
            kept[key] = list(value) if isinstance(value, list) else value
