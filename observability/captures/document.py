"""One captured request as it is written down.

Made in two steps: `capture` copies what is to be kept, bounded, in the event loop; `Capture.document`, in the thread
that writes, takes secrets out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from observability.access import access_line
from observability.captures.excerpt import Copy, Room, excerpt, redacted
from observability.captures.patterns import Redactor, TooSlowError
from observability.captures.sizes import request_sizes
from policies.exchange import Exchange
from policies.json import JSON, Object

_MESSAGES: Final = frozenset({"messages", "prompt", "input", "suffix", "query", "documents", "text_1", "text_2"})
_TOOLS: Final = frozenset({"tools", "functions", "tool_choice"})
_WITHHELD: Final = "withheld: it took too long to look for secrets in it"
REQUEST: Final = "request"
WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class Kept:
    """A side of the exchange: `sizes`, and its `text` unless only those are kept; `cut`: there was more of it."""

    sizes: Object
    text: Copy = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Capture:
    """Implements `Writable`. `part`: the request alone, or all of it."""

    id: str
    at: float
    level: str
    part: str
    record: Object
    request: Kept
    answer: Kept | None
    redact: Redactor

    def document(self) -> Object:
        """As one JSON line; `id` and `at` first, by which readers find it."""
        self.redact.begin()
        return {
            "id": self.id,
            "at": self.at,
            "capture": self.level,
            "part": self.part,
            "record": self.record,
            "request": self._side(self.request),
            "answer": None if self.answer is None else self._side(self.answer),
        }

    def _side(self, kept: Kept) -> Object:
        try:
            sizes = {key: _scrubbed(value, self.redact) for key, value in kept.sizes.items()}
            if kept.text is None:
                return sizes
            return {**sizes, "text": redacted(kept.text, self.redact), "cut": kept.cut}
        except TooSlowError:
            return {"text": None, "cut": True, "note": _WITHHELD}


def capture(exchange: Exchange, at: float, redact: Redactor, *, part: str, most_bytes: int) -> Capture | None:
    """What the obligation wants kept of `exchange` at `at`, seconds since the epoch; None if that is nothing."""
    call, level, hidden = exchange.call, exchange.capture, exchange.redact
    if call is None or level == "none":
        return None
    nameless = not hidden.isdisjoint({"tools", "request.tool_names"})
    sizes = request_sizes(call, exchange.shape, names=not nameless)
    if level == "full":
        out = (_MESSAGES if "messages" in hidden else frozenset()) | (_TOOLS if nameless else frozenset())
        request = _full(sizes, {key: value for key, value in call.body.items() if key not in out}, most_bytes)
    else:
        request = Kept(sizes)
    return Capture(
        id=exchange.id,
        at=at,
        level=level,
        part=part,
        record=access_line(exchange, at=at),
        request=request,
        answer=_answer(exchange, most_bytes, nameless=nameless) if part == WHOLE else None,
        redact=redact,
    )


def _answer(exchange: Exchange, most_bytes: int, *, nameless: bool) -> Kept | None:
    answer = exchange.answer
    if answer is None:
        return None
    sizes = {key: value for key, value in answer.sizes.items() if not (nameless and key == "tool_names")}
    if answer.text is None or "answer" in exchange.redact:
        return Kept(sizes)
    return _full(sizes, answer.text, most_bytes, whole=answer.whole)


def _full(sizes: Object, text: Object, most_bytes: int, *, whole: bool = True) -> Kept:
    room = Room(most_bytes)
    copy = excerpt(text, room, whole=whole)
    return Kept(sizes, copy, room.cut or not whole)


def _scrubbed(value: JSON, redact: Redactor) -> JSON:
    """Names of tools are chosen by callers; keys here are ours or known parameters."""
    match value:
        case str():
            return redact(value)
        case list():
            return [_scrubbed(item, redact) for item in value]
        case Mapping():
            return {key: _scrubbed(inner, redact) for key, inner in value.items()}
        case _:
            return value
