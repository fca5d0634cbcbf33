"""What engines that speak a caller's dialect themselves write on those routes: the same words as on OpenAI's.

Where from: docs/engines.md, and docs/decisions/0036; the frames are those of tests/system/native_engines.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from policies.json import Object
from tests.compatibility.surfaces import TOOL
from tests.system import native_engines as words
from tests.system.scripts import Asked, Fin, Hold, Script, Send, Step, chunk, wants_stream, whole

TEXT: Final = "Hello there"
THOUGHT: Final = "hmm"
CITY: Final = "Paris"
SECRET: Final = "/srv/engine/secret"
"""Stands in everything an engine says of its failures, and must never reach a caller."""

_INPUT: Final[Object] = {"city": CITY}
_ARGUMENTS: Final = json.dumps(_INPUT)
_END: Final = chunk(b"")


def _thinking(*then: Object) -> list[Object]:
    return [
        words.start(),
        words.block(0, type="thinking", thinking=""),
        words.delta(0, "thinking_delta", THOUGHT),
        {"type": "content_block_stop", "index": 0},
        *then,
    ]


def _message(asked: Asked) -> Script:
    if not wants_stream(asked):
        return words.answers({"type": "thinking", "thinking": THOUGHT, "signature": ""}, {"type": "text", "text": TEXT})
    return words.streams(
        _thinking(
            words.block(1, type="text", text=""),
            words.delta(1, "text_delta", "Hello"),
            words.delta(1, "text_delta", " there"),
            {"type": "content_block_stop", "index": 1},
            words.ended(),
            words.STOP,
        )
    )


def _message_calls(asked: Asked) -> Script:
    if not wants_stream(asked):
        call: Object = {"type": "tool_use", "id": words.CALL_ID, "name": TOOL, "input": _INPUT}
        return words.answers(call, reason="tool_use")
    return words.streams(
        _thinking(
            words.block(1, type="tool_use", id=words.CALL_ID, name=TOOL, input={}),
            *(words.delta(1, "input_json_delta", piece) for piece in (_ARGUMENTS[:5], _ARGUMENTS[5:])),
            {"type": "content_block_stop", "index": 1},
            words.ended("tool_use"),
            words.STOP,
        )
    )


def _message_begun(*then: Step) -> Script:
    return words.streams(_thinking(words.block(1, type="text", text=""), words.delta(1, "text_delta", "Hello")), *then)


def _piece(asked: Asked, text: str = "", **more: str) -> Object:
    if not asked.path.endswith("/generate"):
        return words.line(text, **more)
    return {**words.written(text), **more}


def _lines(asked: Asked) -> Script:
    if not wants_stream(asked):
        return lambda _: [Send(whole(words.last(_piece(asked, TEXT, thinking=THOUGHT))))]
    said = [_piece(asked, thinking=THOUGHT), _piece(asked, "Hello"), _piece(asked, " there")]
    return words.says([*said, words.last(_piece(asked))])


def _lines_call(asked: Asked) -> Script:
    call = words.line(tool_calls=[{"id": words.CALL_ID, "function": {"name": TOOL, "arguments": _INPUT}}])
    if not wants_stream(asked):
        return lambda _: [Send(whole(words.last(call)))]
    return words.says([call, words.last(words.line())])


def _lines_begun(asked: Asked, *then: Step) -> Script:
    return words.says([_piece(asked, "Hello")], *then)


def is_own(asked: Asked) -> bool:
    """Whether it was asked in a dialect that is not OpenAI's."""
    return asked.path == "/v1/messages" or asked.path.startswith("/api/")


def answers(asked: Asked) -> Sequence[Step]:
    """A good answer."""
    return (_message if asked.path == "/v1/messages" else _lines)(asked)(asked)


def calls_tool(asked: Asked) -> Sequence[Step]:
    """A call."""
    return (_message_calls if asked.path == "/v1/messages" else _lines_call)(asked)(asked)


def refuses(asked: Asked, message: str) -> Sequence[Step]:
    """A 400."""
    if asked.path == "/v1/messages":
        error: Object = {"type": "invalid_request_error", "message": message}
        return [Send(whole({"type": "error", "error": error}, 400))]
    return [Send(whole({"error": message}, 400))]


def holds(asked: Asked) -> Sequence[Step]:
    """The beginning of an answer, and no more."""
    return _begun(asked, Hold())


def goes_wrong(asked: Asked, *, silently: bool) -> Sequence[Step]:
    """The beginning; once the test lets go an error, or (`silently`) the end of the connection's answer."""
    error: Object = {"type": "api_error", "message": SECRET}
    if silently:
        return _begun(asked, Hold(), Send(_END))
    if asked.path == "/v1/messages":
        return _begun(asked, Hold(), Send(chunk(words.event({"type": "error", "error": error})) + _END), Fin())
    return _begun(asked, Hold(), Send(chunk(json.dumps({"error": SECRET}).encode() + b"\n") + _END))


def _begun(asked: Asked, *then: Step) -> Sequence[Step]:
    script = _message_begun(*then) if asked.path == "/v1/messages" else _lines_begun(asked, *then)
    return script(asked)
