"""Chat answers as responses, whole and streamed. Pure; one `ResponsesRendering` per answer.

Source: facts/engines.md 4.2; openai-python 3.52, `lib/streaming/responses/_responses.py`, which checks that an item
keeps its identity and that nothing comes for one that was not introduced. Items come strictly one after the other.
Every event is numbered, and a whole answer is what its events come to, so that both always say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from edge.dialects import said
from edge.dialects.chat import SSE_TYPE
from edge.dialects.errors import error_event
from edge.dialects.responses.items import (
    COMPLETED,
    IN_PROGRESS,
    Events,
    FunctionCall,
    Item,
    Message,
    Thought,
    logprobs_of,
    probabilities,
)
from edge.dialects.responses.names import item_id, response_id
from policies.call import Call
from policies.errors import GatewayError
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.reasons import Reason

_PER_PROBABILITY: Final = 128
"""Characters that it takes the memory of, about."""
_ENDINGS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Finish reasons of an answer that is not all there, and what Responses call them."""


class ResponsesRendering:
    """`asked` is the checked request, as it is `in_force`; `model` as the caller named it; `wall` gives seconds since
    the epoch."""

    content_type = SSE_TYPE
    comments = True
    paced = False

    def __init__(self, asked: Object, model: str, request_id: str, wall: Callable[[], float]) -> None:
        self.request_id = request_id
        self._wall = wall
        self._response = _skeleton(asked, model, response_id(request_id), int(wall()))
        self._summary = "summary" in as_object(asked.get("reasoning"))
        self._events = Events()
        self._said = 0  # the number behind the last event that was handed out
        self._items: list[JSON] = []
        self._open: Item | None = None
        self._finish = ""
        self._room = said.Room()  # the end repeats all of it
        self.response: Object | None = None
        """What the answer came to, once it has come to its end."""

    def begin(self, _prompt: int) -> bytes:
        """`response.created` and `response.in_progress`."""
        self._begin()
        return self._take()

    def chunk(self, chunk: Object) -> bytes:
        """Of the only choice that there is."""
        for choice in as_list(chunk.get("choices")):
            self._add(as_object(choice), as_object(as_object(choice).get("delta")))
        return self._take()

    def end(self, final: Object) -> bytes:
        """The last item's end, and the whole response."""
        self._complete(final)
        return self._take()

    def whole(self, answer: Object) -> Object:
        """The response."""
        self._events = Events(mute=True)
        choice = said.choice(answer)
        self._add(choice, as_object(choice.get("message")))
        return self._complete(answer)

    def failed(self, error: GatewayError, *, begun: bool) -> bytes:
        """The end of a stream that fails; `begun`: whether any event of it was given to the caller.

        First what Codex looks for, and who reads the response's state; then what makes OpenAI's own SDKs raise: a data
        object with `error` in it.
        """
        events = self._events = Events(self._said if begun else 0)
        if not begun:
            self._begin()
        why: Object = {"code": _code(error), "message": error.text}
        items: list[JSON] = list(self._items) if begun else []
        events.add("response.failed", response={**self._response, "status": "failed", "error": why, "output": items})
        events.add("error", **error_event(error))
        return self._take()

    def _begin(self) -> None:
        for kind in ("response.created", "response.in_progress"):
            self._events.add(kind, response=self._response)

    def _take(self) -> bytes:
        self._said = self._events.number
        return self._events.take()

    def _add(self, choice: Object, delta: Object) -> None:
        if text := said.thought(delta):
            self._room.take(len(text))
            self._thought().add(text, self._events)
        for kind, name in (("output_text", "content"), ("refusal", "refusal")):
            if text := as_str(delta.get(name)):
                logprobs = logprobs_of(choice) if kind == "output_text" else []
                self._room.take(len(text) + _PER_PROBABILITY * probabilities(logprobs))
                self._message().add(kind, text, logprobs, self._events)
        for position, call in enumerate(as_list(delta.get("tool_calls"))):
            self._add_call(as_object(call), position)
        self._finish = as_str(choice.get("finish_reason")) or self._finish

    def _thought(self) -> Thought:
        if isinstance(self._open, Thought):
            return self._open
        item = Thought(self._id("reasoning"), self._index, self._summary)
        self._start(item)
        return item

    def _message(self) -> Message:
        if isinstance(self._open, Message):
            return self._open
        item = Message(self._id("message"), self._index)
        self._start(item)
        return item

    def _add_call(self, call: Object, position: int) -> None:
        item, number = self._open, call.get("index", position)
        if not (isinstance(item, FunctionCall) and item.number == number):
            item = self._start_call(call, number)
        if piece := as_str(as_object(call.get("function")).get("arguments")):
            self._room.take(len(piece))
            item.add(piece, self._events)

    def _start_call(self, call: Object, number: JSON) -> FunctionCall:
        name = said.new_call(call)
        self._room.take(len(name))
        item_name = self._id("function_call")
        call_id = said.identity(call) or f"call_{self.request_id}_{self._index}"
        item = FunctionCall(item_name, self._index, number, call_id, name)
        self._start(item)
        return item

    @property
    def _index(self) -> int:
        return len(self._items)

    def _id(self, kind: str) -> str:
        self._close()
        return item_id(kind, self.request_id, self._index)

    def _start(self, item: Item) -> None:
        self._room.take(said.PER_CALL)
        self._open = item
        item.begin(self._events)

    def _close(self, status: str = COMPLETED) -> None:
        if self._open is not None:
            item, self._open = self._open, None
            self._items.append(item.end(self._events, status))

    def _complete(self, final: Object) -> Object:
        reason = _ENDINGS.get(self._finish)
        self._close("incomplete" if reason else COMPLETED)
        status = "incomplete" if reason else COMPLETED
        self.response = {
            **self._response,
            "status": status,
            "completed_at": None if reason else int(self._wall()),
            "incomplete_details": {"reason": reason} if reason else None,
            "output": self._items,
            "usage": _usage(final),
        }
        self._events.add(f"response.{status}", response=self.response)
        return self.response


def in_force(call: Call) -> Object:
    """What `call` asked, with the numbers that its engine is asked with: presets, policies and limits change some, and
    a response says what was used."""
    body, asked = call.body, call.asked
    return {
        **asked,
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "max_output_tokens": call.max_tokens,
        "reasoning": {**as_object(asked.get("reasoning")), "effort": body.get("reasoning_effort")},
    }


def _skeleton(asked: Object, model: str, identity: str, created: int) -> Object:
    """The response before anything is said. What the engine would take for a number that was not given is not known."""
    reasoning = as_object(asked.get("reasoning"))
    return {
        "id": identity,
        "object": "response",
        "created_at": created,
        "status": IN_PROGRESS,
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata", {}),
        "model": model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "previous_response_id": asked.get("previous_response_id"),
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": asked.get("store", False),
        "temperature": asked.get("temperature"),
        "text": {"format": {"type": "text"}, **as_object(asked.get("text"))},
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": asked.get("tools", []),
        "top_logprobs": asked.get("top_logprobs"),
        "top_p": asked.get("top_p"),
        "truncation": "disabled",
        "usage": None,
        "user": asked.get("user"),
    }


def _usage(document: Object) -> Object:
    usage = said.usage(document)
    return {
        "input_tokens": usage.read,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.written,
        # Which of them were thoughts, engines do not say.
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.read + usage.written,
    }


def _code(error: GatewayError) -> str:
    """One of the few that `response.error` has, and the one that Codex makes its conversation shorter for."""
    if error.reason is Reason.CONTEXT_LENGTH_EXCEEDED:
        return error.reason.value
    if error.cause.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_exceeded"
    return "server_error" if error.cause.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_prompt"
