"""A chat body as a request of Anthropic's Messages, for engines that have that route themselves. Pure.

Read in the sources that the shapes name: what a route there does not look at is nothing that it can be told. Results of
tools stand in a turn of their own, before what the user says beside them: llama-server would put them behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from engines.adapters import saying
from engines.adapters.saying import Unsayable
from policies.json import JSON, Object, as_list, as_object, as_str

_SAME: Final = ("temperature", "top_p", "top_k")
_BASIC: Final = saying.FRAMING | {*_SAME, "stop", "tools", "tool_choice"}
_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


@dataclass(frozen=True, slots=True)
class AnthropicShape:
    """One kind's route: which `more` parameters of a chat body it has a word for, and which `choices` of a tool it
    heeds (`tool`: one by name)."""

    more: frozenset[str] = frozenset()
    choices: frozenset[str] = frozenset({"auto", "required"})

    def write(self, chat: Object) -> Object | None:
        """See `contract.Tongue`."""
        try:
            saying.only(chat, _BASIC | self.more)
            most = chat["max_tokens"]
            return {"model": chat["model"], "max_tokens": most, "stream": chat["stream"]} | self._said(chat)
        except (Unsayable, KeyError):
            return None

    def prompt(self, chat: Object) -> Object | None:
        """What makes the prompt alone, as `count_tokens` takes it."""
        try:
            return {"model": chat["model"]} | self._prompt(chat)
        except (Unsayable, KeyError):
            return None

    def _said(self, chat: Object) -> Object:
        body: Object = {name: chat[name] for name in _SAME if name in chat}
        if stop := chat.get("stop"):
            body["stop_sequences"] = stop if isinstance(stop, list) else [stop]
        if output := _output(chat):
            body["output_config"] = output
        return body | self._prompt(chat)

    def _prompt(self, chat: Object) -> Object:
        system, turns = saying.turns_of(chat)
        if not turns:
            raise Unsayable  # a message to nobody is none there
        body: Object = {"messages": list(_messages(turns))}
        if system:
            body["system"] = system
        if tools := as_list(chat.get("tools")):
            body["tools"] = [_tool(saying.object_of(tool)) for tool in tools]
            if "tool_choice" in chat:
                body["tool_choice"] = self._choice(chat["tool_choice"])
        if "chat_template_kwargs" in chat:
            body["chat_template_kwargs"] = chat["chat_template_kwargs"]
        if chat.get("reasoning_effort") == "none":
            body["thinking"] = {"type": "disabled"}
        return body

    def _choice(self, choice: JSON) -> JSON:
        kind = "tool" if isinstance(choice, dict) else as_str(choice)
        if kind not in self.choices:
            raise Unsayable
        if kind == "tool":
            return {"type": "tool", "name": as_object(as_object(choice).get("function"))["name"]}
        return {"type": _CHOICES[kind]}


def _tool(tool: Object) -> JSON:
    function = saying.only(
        as_object(saying.only(tool, {"type", "function"}).get("function")),
        {"name", "description", "parameters", "strict"},
    )
    found: Object = {"name": function["name"]}
    found["input_schema"] = function.get("parameters", {"type": "object", "properties": {}})
    if "description" in function:
        found["description"] = function["description"]
    if function.get("strict") is True:
        raise Unsayable  # vLLM takes it and loses it (`_convert_tools`), the others do not look
    return found


def _output(chat: Object) -> Object:
    found: Object = {}
    effort = chat.get("reasoning_effort")
    if effort is not None and effort != "none":
        found["effort"] = effort
    form = as_object(chat.get("response_format"))
    if form and form.get("type") != "text":
        if form.get("type") != "json_schema":
            raise Unsayable
        found["format"] = {"type": "json_schema", "schema": as_object(form.get("json_schema"))["schema"]}
    return found


def _messages(turns: list[Object]) -> Iterator[JSON]:
    results: list[JSON] = []
    for turn in turns:
        if turn["role"] == "tool":
            results.append(
                {
                    "type": "tool_result",
                    "tool_use_id": turn["tool_call_id"],
                    "content": saying.text_of(turn.get("content")),
                }
            )
            continue
        if results:
            yield {"role": "user", "content": results}
            results = []
        yield {"role": turn["role"], "content": _content(turn)}
    if results:
        yield {"role": "user", "content": results}


def _content(turn: Object) -> JSON:
    blocks: list[JSON] = []
    if thought := saying.thought_of(turn):
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    blocks += map(_block, saying.parts_of(turn.get("content")))
    blocks += [
        {"type": "tool_use", "id": identity, "name": name, "input": given}
        for identity, name, given in saying.calls_of(turn)
    ]
    return blocks or ""


def _block(part: Object) -> JSON:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    kind, data = saying.picture_of(part)
    if kind not in _PICTURES:
        raise Unsayable
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
