"""Calls of tools as OpenAI's own clients expect them, in deltas and in messages. Pure; one `Fragments` per answer.

What engines do: llama-cpp-python repeats a call's id, type and name on every fragment, writes the retired
`function_call` beside `tool_calls`, and fills what it has nothing to say about with null (seen, 0.3.36); openai-js adds
such names up to `get_weatherget_weather...` and then reports no call at all. Some give whole calls one index, or none;
older vLLM gives each fragment another id; some give no id. Here each call is introduced once, with its name, its kind,
an index of its own and an id that its caller can send back, and what follows has its index alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge.dialects import said
from edge.relay.deltas import INPUTS
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_list, as_object, as_str

_SEED: Final = 24
"""Characters of the answer's id in a call's: with the rest of it at most the 40 that OpenAI's own API takes back."""


@dataclass(slots=True)
class _Known:
    """A call that was introduced, as the engine calls it."""

    identity: str
    name: str
    index: int


class Fragments:
    """Follows the tool calls of an answer through its deltas; `answer` makes ids unique among answers."""

    __slots__ = ("_answer", "_known", "_made", "_next")

    def __init__(self, answer: str = "") -> None:
        self._answer = answer[:_SEED]
        self._known: dict[tuple[int, int], _Known] = {}
        self._next: dict[int, int] = {}
        self._made = 0

    def called(self, choice: int) -> bool:
        """Whether choice number `choice` has called any tool so far."""
        return choice in self._next

    def tidy(self, choice: int, delta: Object) -> None:
        """Make `delta` of choice number `choice` regular, in place. EngineBroke for pieces of a call without a name, or
        with one that no caller could send back."""
        if None in delta.values():
            for key in [key for key, value in delta.items() if value is None and key != "content"]:
                del delta[key]
        if "tool_calls" not in delta:
            return
        calls: list[JSON] = [
            call
            for position, call in enumerate(as_list(delta["tool_calls"]))
            if self._call(choice, as_object(call), position)
        ]
        if not calls:
            del delta["tool_calls"]
            return
        delta["tool_calls"] = calls
        delta.pop("function_call", None)

    def whole(self, choice: int, message: Object) -> None:
        """The same of a whole message, whose calls are told apart by where they stand, and have arguments always."""
        calls = [as_object(call) for call in as_list(message.get("tool_calls"))]
        for call in calls:
            call.pop("index", None)  # engines that write one here too may give every call the same
        self.tidy(choice, message)
        for call in calls:
            call.pop("index", None)
            for kind, written in INPUTS.items():
                if isinstance(function := call.get(kind), dict) and function.get(written) is None:
                    function[written] = ""

    def _call(self, choice: int, call: Object, position: int) -> bool:
        """Whether `call` says anything."""
        place = call.get("index", position)
        key = (choice, place if isinstance(place, int) else position)
        kind = "custom" if isinstance(call.get("custom"), dict) else "function"
        function = as_object(call.get(kind))
        identity, name = as_str(call.get("id")), as_str(function.get("name"))
        known = self._known.get(key)
        if name and (known is None or _another(known, identity, name)):
            self._introduce(key, call, kind, name)
            return True
        if known is None:
            if function.get(INPUTS[kind]):
                raise EngineBroke("a piece of a call that was not introduced")
            return False
        call["index"] = known.index
        call.pop("id", None)
        call.pop("type", None)
        function.pop("name", None)
        return True

    def _introduce(self, key: tuple[int, int], call: Object, kind: str, name: str) -> None:
        identity = as_str(call.get("id"))
        _ = said.called(name)
        index = self._next.get(key[0], 0)
        self._next[key[0]] = index + 1
        self._known[key] = _Known(identity, name, index)
        call["index"] = index
        call["id"] = said.identity(call) or self._id()
        call["type"] = kind

    def _id(self) -> str:
        self._made += 1
        return f"call_{self._answer}_{self._made - 1}"


def _another(known: _Known, identity: str, name: str) -> bool:
    """Whether a piece with a name begins a call behind `known`, which had its index: by its id, without one by its
    name."""
    return identity != known.identity if identity and known.identity else name != known.name
