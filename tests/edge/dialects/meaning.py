"""What a request means, whatever dialect it is said in: generated, and read from the internal form.

A meaning is plain data, so that two are compared as they are: `system` (all of it), `turns`, `settings` under the names
of the internal form. Calls of tools are named by their order, since not every dialect gives them ids.
"""

from __future__ import annotations

import json
from typing import Final

from hypothesis import strategies as st

from engines.adapters.messages import prepared
from engines.adapters.parameters import LIMITS
from policies.call import Call
from policies.json import JSON, Object, as_list, as_object, as_str

PNG: Final = "iVBORw0KGgoAAAANSUhEUg=="
WORDS: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ARGUMENTS: Final = st.dictionaries(st.text(max_size=4), st.integers(-9, 9) | st.text(max_size=4), max_size=3)
SCHEMA: Final[Object] = {"type": "object", "properties": {"a": {"type": "string"}}}

SETTINGS: Final[dict[str, st.SearchStrategy[JSON]]] = {
    "stream": st.just(value=True),
    "max_tokens": st.integers(1, 99),
    "temperature": st.sampled_from([0, 0.5, 2]),
    "top_p": st.sampled_from([0.1, 1]),
    "top_k": st.integers(1, 99),
    "min_p": st.sampled_from([0.1, 0.5]),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "presence_penalty": st.sampled_from([-1, 1.5]),
    "stop": st.lists(WORDS, min_size=1, max_size=3).map(list),
    "user": WORDS,
    "enable_thinking": st.booleans(),
    "reasoning_effort": st.sampled_from(["low", "medium", "high", "max"]),
    "schema": st.just(SCHEMA),
    "top_logprobs": st.integers(0, 5),
    "tool_choice": st.sampled_from(["auto", "required", "none", "named"]),
    "parallel_tool_calls": st.booleans(),
}
_OF_TOOLS: Final = ("tool_choice", "parallel_tool_calls")


@st.composite
def meanings(draw: st.DrawFn, settings: tuple[str, ...], *, mixed: bool = True) -> Object:
    """`settings`: those that the dialect has; `mixed`: whether its users say texts and pictures in any order."""
    chosen: Object = {name: draw(SETTINGS[name]) for name in draw(st.sets(st.sampled_from(settings)))}
    tools = draw(st.lists(_tools(), max_size=2, unique_by=lambda tool: str(tool["name"])))
    if tools:
        chosen["tools"] = list[JSON](tools)
    for name in () if tools else _OF_TOOLS:
        chosen.pop(name, None)
    if chosen.get("tool_choice") == "named":
        chosen["tool_choice"] = {"name": tools[0]["name"]}
    turns: list[JSON] = []
    calls = 0
    for _ in range(draw(st.integers(1, 4))):
        turns.append(draw(_user(mixed=mixed)))
        if draw(st.booleans()):
            made = draw(st.lists(ARGUMENTS, max_size=3))
            names = draw(st.lists(st.sampled_from("fgh"), min_size=len(made), max_size=len(made)))
            said: list[JSON] = [
                {"call": calls + at, "name": names[at], "arguments": dict(given)} for at, given in enumerate(made)
            ]
            text = draw(WORDS | st.just("") if made else WORDS)
            turns.append({"role": "assistant", "text": text, "thought": draw(WORDS | st.just("")), "calls": said})
            turns += [
                {"role": "tool", "call": calls + at, "name": names[at], "text": draw(st.just("") | WORDS)}
                for at in range(len(made))
            ]
            calls += len(made)
    return {"system": draw(st.just("") | WORDS), "turns": turns, "settings": chosen}


@st.composite
def _tools(draw: st.DrawFn) -> Object:
    tool: Object = {"name": draw(st.sampled_from("fgh")), "parameters": SCHEMA}
    return tool | ({"description": draw(WORDS)} if draw(st.booleans()) else {})


@st.composite
def _user(draw: st.DrawFn, *, mixed: bool) -> Object:
    text: st.SearchStrategy[JSON] = WORDS.map(lambda words: {"text": words})
    image: st.SearchStrategy[JSON] = st.just({"image": PNG})
    if mixed:
        parts = draw(st.lists(st.one_of(text, image), min_size=1, max_size=3))
    else:
        parts = [draw(text), *draw(st.lists(image, max_size=2))]
    return {"role": "user", "parts": parts}


def meaning_of(call: Call) -> Object:
    """Of a call as the adapters of engines take it."""
    system, turns = "", list[JSON]()
    made: list[tuple[str, str]] = []  # identity and function of every call
    answered = 0
    for item in prepared(call.body["messages"], media=True):
        message = as_object(item)
        match message["role"]:
            case "system":
                assert not system
                assert not turns
                system = "\n\n".join(words(message["content"]))
            case "user":
                turns.append({"role": "user", "parts": _parts(message["content"])})
            case "assistant":
                thought = as_str(message.get("reasoning_content"))
                assert message.get("reasoning", "") == thought
                calls: list[JSON] = []
                for each in map(as_object, as_list(message.get("tool_calls"))):
                    function = as_object(each["function"])
                    name, given = as_str(function["name"]), json.loads(as_str(function["arguments"]))
                    calls.append({"call": len(made), "name": name, "arguments": given})
                    made.append((as_str(each["id"]), name))
                said = "".join(words(message.get("content") or ""))
                turns.append({"role": "assistant", "text": said, "thought": thought, "calls": calls})
            case role:
                assert role == "tool"
                assert message["tool_call_id"] == made[answered][0]
                said = "".join(words(message["content"]))
                turns.append({"role": "tool", "call": answered, "name": made[answered][1], "text": said})
                answered += 1
    return {"system": system, "turns": turns, "settings": _settings(call)}


def words(content: JSON) -> list[str]:
    """The texts of a content."""
    return [content] if isinstance(content, str) else [as_str(as_object(part)["text"]) for part in as_list(content)]


def _parts(content: JSON) -> list[JSON]:
    if isinstance(content, str):
        return [{"text": content}]
    parts: list[JSON] = []
    for part in map(as_object, as_list(content)):
        if part["type"] == "text":
            parts.append({"text": part["text"]})
        else:
            assert as_object(part["image_url"])["url"] == f"data:image/png;base64,{PNG}"
            parts.append({"image": PNG})
    return parts


def _settings(call: Call) -> Object:
    body = {name: value for name, value in call.body.items() if name not in {"messages", *LIMITS}}
    found: Object = {"stream": True} if call.stream else {}
    if call.max_tokens is not None:
        found["max_tokens"] = call.max_tokens
    if tools := [as_object(tool) for tool in as_list(body.pop("tools", None))]:
        assert all(tool["type"] == "function" for tool in tools)
        found["tools"] = [tool["function"] for tool in tools]
    if isinstance(choice := body.get("tool_choice"), dict):
        body["tool_choice"] = {"name": as_object(choice["function"])["name"]}
    if isinstance(stop := body.get("stop"), str):
        body["stop"] = [stop]
    if form := as_object(body.pop("response_format", None)):
        assert form["type"] == "json_schema"
        found["schema"] = as_object(form["json_schema"])["schema"]
    if "top_logprobs" in body:
        assert body.pop("logprobs") is True
    if kwargs := as_object(body.pop("chat_template_kwargs", None)):
        found |= kwargs
    return found | body
