"""Deltas as OpenAI's own clients expect them. Pure; one `Fragments` per answer.

llama-cpp-python repeats a tool call's id, type and name on every fragment, writes the retired `function_call` beside
`tool_calls`, and fills what it has nothing to say about with null (seen, 0.3.36). openai-js adds names up to
`get_weatherget_weather...` and then reports no call at all. Here each call is introduced once and its index is its own.
"""

from __future__ import annotations

from policies.json import Object, as_list, as_object, as_str


class Fragments:
    """Follows the tool calls of an answer through its deltas."""

    __slots__ = ("_calls", "_next")

    def __init__(self) -> None:
        self._calls: dict[tuple[int, int], tuple[str, int]] = {}
        self._next: dict[int, int] = {}

    def tidy(self, choice: int, delta: Object) -> None:
        """Make `delta` of choice number `choice` regular, in place."""
        for key in [key for key, value in delta.items() if value is None and key != "content"]:
            del delta[key]
        calls = as_list(delta.get("tool_calls"))
        if not calls:
            delta.pop("tool_calls", None)
            return
        delta.pop("function_call", None)
        for position, call in enumerate(calls):
            self._call(choice, as_object(call), position)

    def _call(self, choice: int, call: Object, position: int) -> None:
        said = call.get("index", position)
        key = (choice, said if isinstance(said, int) else position)
        identity = as_str(call.get("id"))
        known = self._calls.get(key)
        # Engines that send whole calls may give each the index 0; another id is another call.
        if known is None or (identity and identity != known[0]):
            index = self._next.get(choice, 0)
            self._next[choice] = index + 1
            self._calls[key] = (identity, index)
            call["index"] = index
            call.setdefault("type", "function")
            return
        call["index"] = known[1]
        call.pop("id", None)
        call.pop("type", None)
        function = call.get("function")
        if isinstance(function, dict):
            function.pop("name", None)
