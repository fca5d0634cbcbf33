"""A checked Responses request as a chat body. Pure.

Source: facts/engines.md 4.2; Ollama's openai/responses.go for the order of items. What the assistant's side said in a
row (thoughts, text, calls) is one message: chat templates want calls and their results side by side, and some refuse
two messages of one role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from edge.dialects import turns
from edge.intake.responses_params import LOGPROBS, MESSAGE
from policies.json import JSON, Object, as_list, as_object, as_str

_SAME: Final = ("model", "stream", "temperature", "top_p", "user")
_SYSTEM: Final = frozenset({"system", "developer"})


def chat_body(request: Object) -> Object:
    """`request` must have passed `edge.intake.responses_params`; its `messages` may be empty."""
    body: Object = {name: request[name] for name in _SAME if name in request}
    if "max_output_tokens" in request:
        body["max_tokens"] = request["max_output_tokens"]
    body["messages"] = _messages(as_str(request.get("instructions")), items_of(request["input"]))
    body |= _tools(request)
    if "effort" in (reasoning := as_object(request.get("reasoning"))):
        body["reasoning_effort"] = reasoning["effort"]
    return body | _format(request) | _logprobs(request)


def items_of(given: JSON) -> list[Object]:
    """A request's `input` as items."""
    if isinstance(given, str):
        return [{"type": MESSAGE, "role": "user", "content": given}]
    return [as_object(item) for item in as_list(given)]


@dataclass(slots=True)
class _Said:
    """What the assistant's side said since somebody else last spoke."""

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[JSON] = field(default_factory=list)
    spoke: bool = False

    def message(self) -> Object:
        return turns.assistant_turn("\n".join(self.texts), "\n".join(self.thoughts), self.calls)


def _messages(instructions: str, items: Iterable[Object]) -> list[JSON]:
    system, told = [instructions], _Turns()
    for item in items:
        match item.get("type", MESSAGE):
            case "message" if item["role"] in _SYSTEM:
                system.append(_plain(item["content"]))
            case "message" if item["role"] == "user":
                told.user(item["content"])
            case "message":
                told.said.spoke = True
                told.said.texts += [text for text in [_plain(item["content"])] if text]
            case "reasoning":
                told.said.thoughts += [text for text in [_thought(item)] if text]
            case "function_call":
                told.said.spoke = True
                told.said.calls.append(turns.tool_call(item["call_id"], item["name"], item["arguments"]))
            case "function_call_output":
                told.result(item)
            case _:  # a reference that leads nowhere was refused
                pass
    return [*turns.system_turn(system), *told.end()]


class _Turns:
    """Gathers the messages of a conversation."""

    def __init__(self) -> None:
        self.said = _Said()
        self._messages: list[JSON] = []
        self._shown: list[Object] = []  # pictures among results: they come behind the last of a row of results

    def user(self, content: JSON) -> None:
        self._close()
        self._messages.append({"role": "user", "content": turns.content(_parts(content))})

    def result(self, item: Object) -> None:
        self._end_said()
        texts, pictures = turns.parted(_parts(item["output"]))
        self._messages.append(turns.result_turn(item["call_id"], "\n".join(texts)))
        self._shown += pictures

    def end(self) -> list[JSON]:
        self._close()
        return self._messages

    def _close(self) -> None:
        self._end_said()
        self._end_results()

    def _end_said(self) -> None:
        if self.said.spoke or self.said.thoughts:
            self._end_results()
            self._messages.append(self.said.message())
            self.said = _Said()

    def _end_results(self) -> None:
        if self._shown:
            self._messages.append({"role": "user", "content": turns.content(self._shown)})
            self._shown = []


def _plain(content: JSON) -> str:
    texts, _ = turns.parted(_parts(content))
    return "".join(texts)


def _parts(content: JSON) -> list[Object]:
    """Content as text and images of the chat dialect."""
    if isinstance(content, str):
        return [turns.words(content)]
    found: list[Object] = []
    for item in as_list(content):
        part = as_object(item)
        match part["type"]:
            case "input_image":
                found.append(turns.picture(part["image_url"], part.get("detail")))
            case "refusal":
                found.append(turns.words(part["refusal"]))
            case _:
                found.append(turns.words(part["text"]))
    return found


def _thought(item: Object) -> str:
    """The thought itself where it is there, else its summary."""
    parts = as_list(item.get("content")) or as_list(item.get("summary"))
    return "\n".join(as_str(as_object(part).get("text")) for part in parts)


def _tools(request: Object) -> Object:
    tools = [as_object(tool) for tool in as_list(request.get("tools"))]
    found: Object = {}
    choice = request.get("tool_choice")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        allowed = {as_object(named)["name"] for named in as_list(choice["tools"])}
        tools = [tool for tool in tools if tool["name"] in allowed]
        found["tool_choice"] = choice["mode"]
    elif isinstance(choice, dict):
        found["tool_choice"] = turns.tool_choice(choice["name"])
    elif choice is not None:
        found["tool_choice"] = choice
    if tools:
        found["tools"] = [turns.tool(tool) for tool in tools]
    if "parallel_tool_calls" in request:
        found["parallel_tool_calls"] = request["parallel_tool_calls"]
    return found


def _format(request: Object) -> Object:
    form = as_object(as_object(request.get("text")).get("format"))
    match form.get("type"):
        case "json_schema":
            more = {name: value for name, value in form.items() if name not in {"type", "schema"}}
            return {"response_format": turns.json_schema(form["schema"], **more)}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case _:
            return {}


def _logprobs(request: Object) -> Object:
    if "top_logprobs" in request:
        return {"logprobs": True, "top_logprobs": request["top_logprobs"]}
    return {"logprobs": True} if LOGPROBS in as_list(request.get("include")) else {}
