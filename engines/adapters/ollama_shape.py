"""Chat and prompt bodies as requests of Ollama's own routes, for an engine that is one. Pure.

Source: facts/engines.md 3, ollama 0.32 `api/types.go`. Of `options` only what a caller may say, never what would
make it load a model anew (`num_ctx`); `keep_alive`, `template`, `context` and `truncate` are not ours to send.
"""

from __future__ import annotations

from typing import Final

from engines.adapters import saying
from engines.adapters.saying import Unsayable
from policies.json import JSON, Object, as_object, as_str

ONLY_NATIVE: Final = frozenset({"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n"})
"""What its OpenAI routes have no word for."""
_OPTIONS: Final = ONLY_NATIVE | {"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"}
_CHAT: Final = saying.FRAMING | _OPTIONS | {"tools", "response_format", "reasoning_effort"}
_PROMPT: Final = saying.FRAMING | _OPTIONS | {"suffix"}


def chat(body: Object) -> Object | None:
    """For `/api/chat`."""
    try:
        saying.only(body, _CHAT)
        asked = _asked(body)
        system, turns = saying.turns_of(body)
        said: list[JSON] = [{"role": "system", "content": system}] if system else []
        names: dict[str, str] = {}
        said += [_message(turn, names) for turn in turns]
        return asked | {"messages": said} | ({"tools": body["tools"]} if body.get("tools") else {})
    except (Unsayable, KeyError):
        return None


def generate(body: Object) -> Object | None:
    """For `/api/generate`, of a chat of one turn."""
    try:
        saying.only(body, _CHAT - {"tools"})
        system, turns = saying.turns_of(body)
        if len(turns) != 1 or turns[0]["role"] != "user":
            return None
        text, pictures = _content(turns[0])
        if not text:
            return None  # without a prompt it loads the model, and says nothing
        more: Object = {name: value for name, value in (("system", system), ("images", pictures)) if value}
        return _asked(body) | {"prompt": text} | more
    except (Unsayable, KeyError):
        return None


def complete(body: Object) -> Object | None:
    """For `/api/generate`, of a prompt that no template is put around; with a suffix the model's own for filling in."""
    try:
        saying.only(body, _PROMPT)
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            return None
        form: Object = {"suffix": body["suffix"]} if body.get("suffix") else {"raw": True}
        return _asked(body) | {"prompt": prompt} | form
    except (Unsayable, KeyError):
        return None


def _asked(body: Object) -> Object:
    options: Object = {name: body[name] for name in sorted(_OPTIONS) if name in body}
    if "max_tokens" in body:
        options["num_predict"] = body["max_tokens"]
    asked: Object = {"model": body["model"], "stream": body["stream"], "options": options}
    if (effort := body.get("reasoning_effort")) is not None:
        asked["think"] = False if effort == "none" else effort
    form = as_object(body.get("response_format"))
    match form.get("type"):
        case None | "text":
            pass
        case "json_object":
            asked["format"] = "json"
        case "json_schema":
            asked["format"] = as_object(form.get("json_schema"))["schema"]
        case _:
            raise Unsayable
    return asked


def _message(turn: Object, names: dict[str, str]) -> JSON:
    """`names`: the functions of the calls so far, by their ids."""
    text, pictures = _content(turn)
    said: Object = {"role": turn["role"], "content": text}
    if pictures:
        said["images"] = pictures
    if thought := saying.thought_of(turn):
        said["thinking"] = thought
    calls: list[JSON] = []
    for identity, name, given in saying.calls_of(turn):
        names[identity] = name
        calls.append({"id": identity, "function": {"name": name, "arguments": given}})
    if calls:
        said["tool_calls"] = calls
    if turn["role"] == "tool":
        identity = as_str(turn.get("tool_call_id"))
        said["tool_call_id"] = identity
        said |= {"tool_name": names[identity]} if identity in names else {}
    return said


def _content(turn: Object) -> tuple[str, list[JSON]]:
    parts = saying.parts_of(turn.get("content"))
    text = "\n".join(as_str(part["text"]) for part in parts if part["type"] == "text")
    return text, [saying.picture_of(part)[1] for part in parts if part["type"] == "image_url"]
