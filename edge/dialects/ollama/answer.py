"""Chat answers in Ollama's form, whole and as lines. Pure but for the clocks; one rendering per answer.

Source: facts/engines.md 3.3, ollama 0.32 `api/types.go`. A line ends with `\\n`; there are no comments and no empty
lines: ollama-python reads each line as JSON. Calls of tools are whole, with an object of arguments, so they are held
back until the engine ends the turn.
"""

from __future__ import annotations

from typing import Final

from edge.dialects import said
from edge.dialects.timing import Timing
from edge.dialects.writing import instant, line
from policies.call import Aim, Call, Form
from policies.json import JSON, Object, as_count, as_list, as_object, as_str

NDJSON_TYPE: Final = "application/x-ndjson"
_NANO: Final = 1_000_000_000


class OllamaRendering:
    """Of `/api/chat` and `/api/generate`; `call.aim` is not UNLOAD."""

    content_type = NDJSON_TYPE
    comments = False
    paced = True

    def __init__(self, call: Call, timing: Timing) -> None:
        self._model = call.model
        self._form = call.form
        self._loads = call.aim is Aim.LOAD
        self._timing = timing
        self._calls: dict[int, _Held] = {}
        self._room = said.Room()  # for them
        self._finish = ""
        self._timings: JSON = None

    def begin(self, _prompt: int) -> bytes:
        """Nothing."""
        return b""

    def chunk(self, chunk: Object) -> bytes:
        """A line if it says something, of the only choice that there is."""
        if self._loads:
            return b""
        lines = b""
        self._timings = chunk.get("timings", self._timings)
        for item in as_list(chunk.get("choices")):
            choice = as_object(item)
            delta = as_object(choice.get("delta"))
            self._note(choice, delta)
            if told := _said(choice, delta):
                lines += self._line({**_shaped(told, self._form), "done": False})
        return lines

    def end(self, final: Object) -> bytes:
        """The calls, then the line that says why it ended and what it took."""
        calls = self._made()
        told = self._line({**_shaped(calls, self._form), "done": False}) if calls else b""
        return told + self._line({**_shaped({}, self._form), **self._ending(final)})

    def whole(self, answer: Object) -> Object:
        """The document."""
        told: Object = {}
        if not self._loads:
            self._timings = answer.get("timings")
            choice = said.choice(answer)
            message = as_object(choice.get("message"))
            self._note(choice, message)
            told = _said(choice, message) | self._made()
        return {**self._head(), **_shaped(told, self._form), **self._ending(answer)}

    def _note(self, choice: Object, message: Object) -> None:
        """Keep what is said later: the calls, and why it ended."""
        self._finish = as_str(choice.get("finish_reason")) or self._finish
        if "tool_calls" not in message:
            return
        for position, item in enumerate(as_list(message["tool_calls"])):
            call = as_object(item)
            index = as_count(call.get("index"))
            key = position if index is None else index
            if key not in self._calls:
                self._room.take(said.PER_CALL)
            self._room.take(self._calls.setdefault(key, _Held()).add(call))

    def _made(self) -> Object:
        """The calls of tools, whole."""
        held = [call for _, call in sorted(self._calls.items(), key=lambda item: item[0])]
        told = (call.document(index, self._finish) for index, call in enumerate(held))
        calls: list[JSON] = [call for call in told if call is not None]
        return {"tool_calls": calls} if calls else {}

    def moment(self) -> str:
        """Now, as lines say it."""
        return instant(self._timing.wall(), "microseconds")

    def _head(self) -> Object:
        return {"model": self._model, "created_at": self.moment()}

    def _line(self, document: Object) -> bytes:
        return line({**self._head(), **document})

    def _ending(self, document: Object) -> Object:
        if self._loads:
            return {"done": True, "done_reason": "load"}
        usage = said.usage(document)
        spans = self._timing.spans(self._timings)
        known: Object = {} if spans.prompt is None else {"prompt_eval_duration": nanoseconds(spans.prompt)}
        return {
            "done": True,
            "done_reason": "length" if self._finish == "length" else "stop",
            "total_duration": nanoseconds(spans.total),
            "load_duration": nanoseconds(spans.waiting),
            "prompt_eval_count": usage.read,
            **known,
            "eval_count": usage.written,
            "eval_duration": nanoseconds(spans.answer),
        }


class _Held:
    """A call of a tool, in pieces."""

    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._written: list[str] = []

    def add(self, call: Object) -> int:
        """How many characters that was."""
        function = as_object(call.get("function"))
        self._id = self._id or said.identity(call)
        name, piece = as_str(function.get("name")), as_str(function.get("arguments"))
        self._name = self._name or name
        self._written.append(piece)
        return len(name) + len(piece)

    def document(self, index: int, finish: str) -> Object | None:
        """None if it was cut: clients call without a look at why the answer ended, and with what nobody wrote."""
        name = said.called(self._name)
        written = "".join(self._written)
        if finish == "length" and said.written_object(written) is None:
            return None
        given = said.arguments(written, finish)
        function: Object = {"index": index, "name": name, "arguments": given}
        return {"id": self._id, "function": function} if self._id else {"function": function}


def _said(choice: Object, message: Object) -> Object:
    """What a choice says but for calls, as a message of Ollama's; empty if that is nothing."""
    found: Object = {}
    if text := said.text(message) + as_str(choice.get("text")):
        found["content"] = text
    if thought := said.thought(message):
        found["thinking"] = thought
    if tokens := as_list(as_object(choice.get("logprobs")).get("content")):
        found["logprobs"] = tokens
    return found


def _shaped(told: Object, form: Form) -> Object:
    """A message, given away, as `form` has it: `logprobs` stand beside it, `/api/generate` has its members alone."""
    tokens, text = told.pop("logprobs", None), told.pop("content", "")
    if form is Form.GENERATE:
        shaped: Object = {"response": text, **told}
    else:
        shaped = {"message": {"role": "assistant", "content": text, **told}}
    if tokens:
        shaped["logprobs"] = tokens
    return shaped


def unloaded(call: Call, wall: float) -> Object:
    """The answer to who wants a model unloaded, which is not one caller's to say; `wall` in seconds since 1970."""
    created = instant(wall, "microseconds")
    return {
        "model": call.model,
        "created_at": created,
        **_shaped({}, call.form),
        "done": True,
        "done_reason": "unload",
    }


def nanoseconds(seconds: float) -> int:
    """Go's durations; never negative."""
    return max(0, round(seconds * _NANO))
