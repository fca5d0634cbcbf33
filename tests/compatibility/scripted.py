"""Engines that play what was read of their kind: field names, usage, reasoning, refusals, streams that go wrong.

Where from: docs/engines.md ("recorded behaviour"). Kinds that the tests run themselves are not here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.contract import Kind
from policies.json import JSON, Object, as_list
from policies.reasons import Reason
from tests.compatibility import own_routes
from tests.compatibility.own_routes import CITY, SECRET, TEXT, THOUGHT
from tests.compatibility.surfaces import TOOL
from tests.system.scripts import (
    Asked,
    Fin,
    Hold,
    Send,
    Step,
    Stream,
    chunk,
    completion,
    delta,
    embeddings,
    text_completion,
    usage_chunk,
    wants_stream,
    whole,
)

_ARGUMENTS = json.dumps({"city": CITY})
_CALL: Object = {"index": 0, "id": "call-1", "type": "function", "function": {"name": TOOL, "arguments": _ARGUMENTS}}


def _call(arguments: str) -> Object:
    return {**_CALL, "function": {"name": TOOL, "arguments": arguments}}


def _fragments(*pieces: str) -> tuple[Object, ...]:
    rest: tuple[Object, ...] = tuple({"index": 0, "function": {"arguments": piece}} for piece in pieces)
    return (_call(""), *rest)


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind speaks.

    `thinks` is its name for reasoning. `opening` is the first delta. `calls` are the fragments of a call. `extra` are
    members of its last chunk. `refusal` is its answer to a prompt too long, and `because` what that means; `breaks` is
    what a stream says that goes wrong after two chunks. `complaint` is the refusal's text on routes of other dialects,
    "" if it says the same there, and ends streams without a word.
    """

    thinks: str
    refusal: bytes
    breaks: tuple[Step, ...]
    because: Reason = Reason.CONTEXT_LENGTH_EXCEEDED
    opening: Object = field(default_factory=lambda: {"role": "assistant", "content": ""})
    calls: tuple[Object, ...] = field(default_factory=lambda: _fragments('{"city"', f': "{CITY}"', "}"))
    extra: Object = field(default_factory=dict)
    complaint: str = ""

    def answers(self, asked: Asked) -> Sequence[Step]:
        """A good answer to anything but a question with tools."""
        if own_routes.is_own(asked):
            return own_routes.answers(asked)
        route = asked.path.rpartition("/v1/")[2]
        if route == "embeddings":
            return [Send(whole(embeddings(len(as_list(asked.document["input"])))))]
        if route == "completions":
            return self._text(asked)
        if not wants_stream(asked):
            return [Send(whole(self._whole({"content": TEXT}, "stop")))]
        return self._stream([delta(content="Hello"), delta(content=" there")], "stop")

    def calls_tool(self, asked: Asked) -> Sequence[Step]:
        """A call, to a question that has a tool."""
        names = [json.dumps(tool) for tool in as_list(asked.document["tools"])]
        assert TOOL in names[0]
        if own_routes.is_own(asked):
            return own_routes.calls_tool(asked)
        if not wants_stream(asked):
            call = {name: value for name, value in _CALL.items() if name != "index"}
            return [Send(whole(self._whole({"content": None, "tool_calls": [call]}, "tool_calls")))]
        return self._stream([delta(tool_calls=[fragment]) for fragment in self.calls], "tool_calls")

    def refuses(self, asked: Asked) -> Sequence[Step]:
        """Its refusal of a prompt that is too long, or of something else (`because`)."""
        if own_routes.is_own(asked) and self.complaint:
            return own_routes.refuses(asked, self.complaint)
        return [Send(self.refusal)]

    def holds(self, asked: Asked) -> Sequence[Step]:
        """The beginning of an answer, and no more."""
        if own_routes.is_own(asked):
            return own_routes.holds(asked)
        return self._begun(asked, Hold())

    def goes_wrong(self, asked: Asked) -> Sequence[Step]:
        """The beginning of an answer; once the test lets go, its end."""
        if own_routes.is_own(asked):
            return own_routes.goes_wrong(asked, silently=not self.complaint)
        return self._begun(asked, Hold(), *self.breaks)

    def _begun(self, asked: Asked, *then: Step) -> Sequence[Step]:
        if asked.path.endswith("/v1/completions"):
            return Stream(chunks=_texts(), usage=False).until(1, *then)
        return Stream(chunks=[_piece(self.opening), delta(content="Hello")], usage=False).until(2, *then)

    def _whole(self, message: Object, finish: str) -> Object:
        said: Object = {"role": "assistant", self.thinks: THOUGHT, **message}
        choice: Object = {"index": 0, "message": said, "finish_reason": finish}
        return {**completion(), "choices": [choice], **self.extra}

    def _stream(self, said: Sequence[Object], finish: str) -> Sequence[Step]:
        chunks = [
            _piece(self.opening),
            _piece({self.thinks: THOUGHT}),
            *said,
            {**delta(finish=finish), **self.extra},
        ]
        return Stream(chunks=chunks).steps()

    def _text(self, asked: Asked) -> Sequence[Step]:
        if not wants_stream(asked):
            return [Send(whole(text_completion(TEXT)))]
        return Stream(chunks=_texts(), usages=[{**usage_chunk(), "object": "text_completion"}]).steps()


def _piece(said: Object) -> Object:
    """A chunk whose delta is `said`."""
    return {**delta(), "choices": [{"index": 0, "delta": said, "finish_reason": None}]}


def _texts() -> list[Object]:
    frame: Object = {**usage_chunk(), "object": "text_completion"}
    del frame["usage"]
    return [
        {**frame, "choices": [{"index": 0, "text": "Hello", "finish_reason": None}]},
        {**frame, "choices": [{"index": 0, "text": " there", "finish_reason": "stop"}]},
    ]


def _event(document: JSON, *, name: str = "") -> bytes:
    begin = f"event: {name}\n" if name else ""
    return chunk(f"{begin}data: {json.dumps(document)}\n\n".encode())


_END = chunk(b"")
_TOO_LONG = f"This model's maximum context length is 4096 tokens; your prompt {SECRET} has more."
_TIMINGS: Object = {"timings": {"cache_n": 0, "prompt_n": 7, "predicted_n": 3, "prompt_ms": 1.0, "predicted_ms": 1.0}}

_NO_TOOLS = f"{SECRET} does not support tools"

MANNERS: dict[Kind, Manner] = {
    # Whatever OpenAI's own documentation says.
    Kind.OPENAI: Manner(
        thinks="reasoning_content",
        refusal=whole(
            {"error": {"message": _TOO_LONG, "type": "invalid_request_error", "code": "context_length_exceeded"}}, 400
        ),
        breaks=(Send(_event({"error": {"message": SECRET, "type": "server_error"}}) + _END),),
    ),
    # llama.cpp behind it; its own complaints are plain text, and a runner that dies ends the connection.
    Kind.DOCKER_MODEL_RUNNER: Manner(
        thinks="reasoning_content",
        opening={"role": "assistant", "content": None},
        extra=_TIMINGS,
        refusal=whole(f"unable to load runner: {SECRET}", 500),
        because=Reason.ENGINE_BROKE,
        breaks=(Fin(),),
    ),
    Kind.VLLM: Manner(
        thinks="reasoning",
        refusal=whole({"error": {"message": _TOO_LONG, "type": "BadRequestError", "param": None, "code": 400}}, 400),
        breaks=(
            Send(_event({"error": {"message": SECRET, "type": "InternalServerError", "param": None, "code": 500}})),
            Send(chunk(b"data: [DONE]\n\n") + _END),
        ),
    ),
    Kind.OLLAMA: Manner(
        thinks="reasoning",
        calls=(_CALL,),
        refusal=whole({"error": {"message": _NO_TOOLS, "type": "api_error"}}, 400),
        complaint=_NO_TOOLS,
        because=Reason.ENGINE_REFUSED,
        breaks=(Send(_event({"error": {"message": SECRET, "type": "api_error"}}) + _END),),
    ),
    # Streams of its MLX engine are known to end in the middle, without a finish_reason.
    Kind.LM_STUDIO: Manner(
        thinks="reasoning",
        refusal=whole({"error": f"Trying to keep the first 5000 tokens when context the overflows. {SECRET}"}, 400),
        breaks=(Send(_END),),
    ),
}
