"""What the scripted engine plays to a program: a call of the program's own tool, then an answer in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Asked, Hold, Script, Step, Stream, behave, delta, wants_stream

ANSWER: Final = "My answer:\nthe word is in it and it is SWIMMING."
_PIECE: Final = 5
FIRST: Final = "A FIRST WORD"


def conversation(tool: str, arguments: Object) -> Script:
    """Call `tool`, once it is offered and until its result is there; then, and for whatever else, answer."""

    def script(asked: Asked) -> Sequence[Step]:
        if not wants_stream(asked):
            return behave(asked)
        offered = tool in set(tools(asked.document))
        if not offered or results(asked.document):
            return Stream(chunks=_pieces()).steps()
        function: Object = {"name": tool, "arguments": json.dumps(arguments)}
        call: Object = {"index": 0, "id": "call_1", "type": "function", "function": function}
        begin = delta(role="assistant", content=None, tool_calls=[call])
        return Stream(chunks=[begin, delta(finish="tool_calls")]).steps()

    return script


def begun(asked: Asked) -> Sequence[Step]:
    """A first line, and no more until `release` or the caller leaves."""
    chunks = [delta(role="assistant", content=""), delta(content=f"{FIRST}\n"), delta(content="and")]
    return Stream(chunks=chunks).until(len(chunks), Hold())


def tools(document: Object) -> Iterator[str]:
    """The names of the tools that are offered."""
    for each in as_list(document.get("tools")):
        yield as_str(as_object(as_object(each).get("function")).get("name"))


def results(document: Object) -> list[str]:
    """What tools have said so far."""
    messages = map(as_object, as_list(document.get("messages")))
    return [text(message.get("content")) for message in messages if message.get("role") == "tool"]


def text(content: JSON) -> str:
    """The content of a message, whether it is a text or parts."""
    return as_str(content) or "".join(as_str(as_object(part).get("text")) for part in as_list(content))


def said(engine: RecordingEngine, number: int = -1) -> list[tuple[str, str]]:
    """Role and text of the messages of one request."""
    messages = map(as_object, as_list(engine.requests[number].document.get("messages")))
    return [(as_str(message.get("role")), text(message.get("content"))) for message in messages]


def _pieces() -> list[Object]:
    cut = [ANSWER[i : i + _PIECE] for i in range(0, len(ANSWER), _PIECE)]
    return [delta(role="assistant", content=""), *(delta(content=piece) for piece in cut), delta(finish="stop")]
