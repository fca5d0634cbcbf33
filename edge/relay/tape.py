"""What the caller is given of an answer, for a capture: sizes always, the text as far as there is room. Pure.

Told of what was really written: an answer that breaks off is kept as far as it came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edge.relay.aggregate import Aggregate
from edge.relay.deltas import INPUTS, texts
from observability.captures.excerpt import MARGIN
from observability.captures.sizes import LONGEST_NAME, MOST_NAMES
from policies.exchange import Answer, Usage
from policies.json import JSON, Object, as_list, as_object, as_str

_LEAST: Final = 64
"""Bytes that a chunk without text is taken for: an answer may be made of nothing but those."""
_FOLD: Final = 256
"""Chunks after which their pieces of text are joined."""
_CALL: Final = 128
"""The same for a call of a tool that begins."""
_MOST_CHOICES: Final = 128


class Tape:
    """One answer. `room`: bytes of text that are kept, 0 = none."""

    __slots__ = ("_aggregate", "_choices", "_document", "_left", "_names", "_unfolded", "_whole")

    def __init__(self, room: int) -> None:
        self._left = room + MARGIN if room else 0
        self._aggregate = Aggregate() if room else None
        self._choices: dict[int, Object] = {}
        self._names: list[JSON] = []
        self._document: Object | None = None
        self._whole = True
        self._unfolded = 0

    def chunks(self, chunks: Iterable[Object]) -> None:
        """Chunks of a stream that the caller was given."""
        for chunk in chunks:
            self._chunk(chunk)

    def _chunk(self, chunk: Object) -> None:
        size = self._measure(chunk, "delta")
        if self._aggregate is None:
            return
        if self._left <= 0:
            self._whole = False
            return
        self._left -= size
        self._aggregate.add(_plain(chunk))
        self._unfolded += 1
        if self._unfolded == _FOLD:
            self._aggregate.fold()
            self._unfolded = 0

    def answer(self, document: Object) -> None:
        """A complete answer that the caller was given."""
        _ = self._measure(document, "message")
        if self._aggregate is not None:
            self._document = _plain(document)

    def result(self, *, chat: bool) -> Answer | None:
        """All of it, as a complete answer's `choices`; None if the caller was given nothing."""
        if not self._choices:
            return None
        choices: list[JSON] = list(self._choices.values())
        sizes: Object = {"choices": choices, "tool_names": self._names}
        if self._aggregate is not None and self._document is None:
            self._document = {"choices": self._aggregate.answer(Usage(), chat=chat)["choices"]}
        return Answer(sizes, self._document, self._whole)

    def _measure(self, document: Object, said: str) -> int:
        """Count one chunk's or answer's choices; returns about how many bytes it takes to keep it."""
        size = 0
        for item in as_list(document.get("choices")):
            choice = as_object(item)
            message = as_object(choice.get(said))
            size += sum(len(text.encode(errors="replace")) for text in texts(choice, said)) or _LEAST
            size += self._note(choice, message)
        return size

    def _note(self, choice: Object, message: Object) -> int:
        index = choice.get("index", 0)
        known = self._choices.get(index if isinstance(index, int) else 0)
        size = 0 if known is not None else _LEAST  # choices hold memory, however short they are
        if known is None:
            known = {"chars": 0, "reasoning_chars": 0, "tool_calls": 0, "finish": None}
            if len(self._choices) < _MOST_CHOICES:
                self._choices[index if isinstance(index, int) else 0] = known
        reasoning = as_str(message.get("reasoning")) or as_str(message.get("reasoning_content"))
        said = (message.get("content"), message.get("refusal"), choice.get("text"))
        _more(known, "chars", sum(len(as_str(text)) for text in said))
        _more(known, "reasoning_chars", len(reasoning))
        if finish := as_str(choice.get("finish_reason")):
            known["finish"] = finish
        names = [name for call in as_list(message.get("tool_calls")) if (name := _name(as_object(call)))]
        names += [name for name in [as_str(as_object(message.get("function_call")).get("name"))] if name]
        _more(known, "tool_calls", len(names))
        self._names += [name[:LONGEST_NAME] for name in names][: max(0, MOST_NAMES - len(self._names))]
        return size + _CALL * len(names)


def _more(known: Object, key: str, count: int) -> None:
    before = known[key]
    known[key] = count + (before if isinstance(before, int) else 0)


def _name(call: Object) -> str:
    """The name of a call that begins: each says it once (`Fragments`)."""
    return next((name for kind in INPUTS if (name := as_str(as_object(call.get(kind)).get("name")))), "")


def _plain(document: Object) -> Object:
    """The choices without what is large, or there twice (both names of the reasoning)."""
    return {"choices": [_text_of(as_object(choice)) for choice in as_list(document.get("choices"))]}


def _text_of(choice: Object) -> JSON:
    kept = {key: value for key, value in choice.items() if key != "logprobs"}
    for said in ("delta", "message"):
        message = kept.get(said)
        if isinstance(message, dict) and message.get("reasoning_content") == message.get("reasoning"):
            kept[said] = {key: value for key, value in message.items() if key != "reasoning_content"}
    return kept
