"""A stream of chunks -> one complete answer. Pure.

For engines that notice a leaving caller only while they stream (mlx-lm, llama-cpp-python): the gateway always streams
from them and puts the answer together itself, so that cancelling works for callers who do not stream too.
"""

from __future__ import annotations

from edge.relay.usage import usage_object
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object, as_str


class Aggregate:
    """Add every chunk in turn, then take the `answer`."""

    __slots__ = ("_calls", "_choices", "_head")

    def __init__(self) -> None:
        self._head: Object = {}
        self._choices: dict[int, Object] = {}
        self._calls: dict[tuple[int, int], Object] = {}

    def add(self, chunk: Object) -> None:
        """Merge one chunk (as `ChunkReader.read` returned it)."""
        for key in ("id", "created", "model", "system_fingerprint", "timings"):
            if key in chunk:
                self._head[key] = chunk[key]
        for entry in as_list(chunk.get("choices")):
            self._merge(as_object(entry))

    def _merge(self, entry: Object) -> None:
        index = _index(entry, 0)
        choice = self._choices.setdefault(index, {})
        delta = entry.get("delta")
        if isinstance(delta, dict):
            message = _child(choice, "message")
            _merge_delta(message, delta)
            for position, call in enumerate(as_list(delta.get("tool_calls"))):
                self._merge_call(index, message, as_object(call), position)
        elif "text" in entry:
            choice["text"] = as_str(choice.get("text")) + as_str(entry["text"])
        if entry.get("finish_reason"):
            choice["finish_reason"] = entry["finish_reason"]
        if isinstance(entry.get("logprobs"), dict):
            _extend(_child(choice, "logprobs"), as_object(entry["logprobs"]))

    def _merge_call(self, choice: int, message: Object, call: Object, position: int) -> None:
        # Keyed by the engine's index and appended in order of appearance: a hostile index cannot size a list.
        key = (choice, _index(call, position))
        kept = self._calls.get(key)
        if kept is None:
            kept = self._calls[key] = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            calls = message.setdefault("tool_calls", [])
            if isinstance(calls, list):
                calls.append(kept)
        if isinstance(call.get("id"), str):
            kept["id"] = call["id"]
        _merge_function(_child(kept, "function"), as_object(call.get("function")))

    def answer(self, usage: Usage, *, chat: bool) -> Object:
        """The complete answer: `chat.completion` if `chat`, else `text_completion`."""
        choices: list[JSON] = [_finished(index, choice, chat=chat) for index, choice in sorted(self._choices.items())]
        return {
            **self._head,
            "object": "chat.completion" if chat else "text_completion",
            "choices": choices,
            "usage": usage_object(usage),
        }


def _finished(index: int, choice: Object, *, chat: bool) -> Object:
    whole: Object = {"index": index}
    if chat:
        message = _child(choice, "message")
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        whole["message"] = message
    else:
        whole["text"] = choice.get("text", "")
    whole["logprobs"] = choice.get("logprobs")
    whole["finish_reason"] = choice.get("finish_reason")
    return whole


def _index(entry: Object, default: int) -> int:
    index = entry.get("index", default)
    return index if isinstance(index, int) else default


def _child(parent: Object, key: str) -> Object:
    child = parent.setdefault(key, {})
    return child if isinstance(child, dict) else {}


def _merge_delta(message: Object, delta: Object) -> None:
    for key in ("content", "reasoning", "reasoning_content", "refusal"):
        piece = delta.get(key)
        if isinstance(piece, str):
            message[key] = as_str(message.get(key)) + piece
    role = delta.get("role")
    if isinstance(role, str):
        message["role"] = role
    if isinstance(delta.get("function_call"), dict):
        _merge_function(_child(message, "function_call"), as_object(delta["function_call"]))


def _merge_function(kept: Object, piece: Object) -> None:
    # Some engines repeat the whole name on every fragment, none splits it: the first one stands.
    kept["name"] = as_str(kept.get("name")) or as_str(piece.get("name"))
    kept["arguments"] = as_str(kept.get("arguments")) + as_str(piece.get("arguments"))


def _extend(kept: Object, piece: Object) -> None:
    for key, value in piece.items():
        have = kept.get(key)
        if isinstance(have, list) and isinstance(value, list):
            have.extend(value)
        elif value is not None or key not in kept:
            kept[key] = list(value) if isinstance(value, list) else value
