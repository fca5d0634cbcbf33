"""A meaning (meaning.py) as a request of each dialect: the way back from the internal form, and the way there in every
spelling that the dialect has. `vary()` says at each choice whether to take the plainer one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final, TypeAlias

from policies.json import JSON, Object, as_list, as_object, as_str

Vary: TypeAlias = Callable[[], bool]
_DATA: Final = "data:image/png;base64,"
_SAMPLING: Final = ("top_k", "min_p", "seed", "presence_penalty", "temperature", "top_p")


def _turns(meaning: Object) -> list[Object]:
    return [as_object(turn) for turn in as_list(meaning["turns"])]


def _calls(turn: Object) -> list[Object]:
    return [as_object(call) for call in as_list(turn["calls"])]


def _tools(meaning: Object) -> list[Object]:
    return [as_object(tool) for tool in as_list(as_object(meaning["settings"]).get("tools"))]


def _picked(settings: Object, *names: str) -> Object:
    return {name: settings[name] for name in names if name in settings}


def _halves(text: str) -> list[str]:
    return [half for half in (text[: len(text) // 2], text[len(text) // 2 :]) if half]


def openai(meaning: Object, vary: Vary) -> Object:
    """`/v1/chat/completions`."""
    settings = as_object(meaning["settings"])
    request: Object = {"model": "tiny", **settings}
    for name in ("tools", "schema", "enable_thinking"):
        request.pop(name, None)
    if vary() and "max_tokens" in request:
        request["max_completion_tokens"] = request.pop("max_tokens")
    if vary() and len(as_list(settings.get("stop"))) == 1:
        request["stop"] = as_list(settings["stop"])[0]
    if tools := _tools(meaning):
        request["tools"] = [{"type": "function", "function": tool} for tool in tools]
    if isinstance(choice := settings.get("tool_choice"), dict):
        request["tool_choice"] = {"type": "function", "function": choice}
    if "schema" in settings:
        form: Object = {"name": "answer", "schema": settings["schema"]}
        request["response_format"] = {"type": "json_schema", "json_schema": form}
    if "top_logprobs" in settings:
        request["logprobs"] = True
    if "enable_thinking" in settings:
        request["chat_template_kwargs"] = {"enable_thinking": settings["enable_thinking"]}
    messages = [_openai_turn(turn, vary) for turn in _turns(meaning)]
    if system := as_str(meaning["system"]):
        said: Object = {"role": "developer" if vary() else "system", "content": system}
        messages.insert(len(messages) if vary() else 0, said)
    return {**request, "messages": list[JSON](messages)}


def _openai_turn(turn: Object, vary: Vary) -> Object:
    match turn["role"]:
        case "user":
            parts = [_openai_part(as_object(part)) for part in as_list(turn["parts"])]
            lone = len(parts) == 1 and parts[0]["type"] == "text" and not vary()
            return {"role": "user", "content": parts[0]["text"] if lone else list[JSON](parts)}
        case "tool":
            return {"role": "tool", "tool_call_id": f"c{turn['call']}", "content": turn["text"]}
        case _:
            message: Object = {"role": "assistant", "content": turn["text"] or (None if vary() else "")}
            if thought := turn["thought"]:
                names = ("reasoning", "reasoning_content")
                message |= dict.fromkeys(names if vary() else names[vary() :][:1], thought)
            if calls := _calls(turn):
                message["tool_calls"] = [
                    {
                        "id": f"c{call['call']}",
                        "type": "function",
                        "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
                    }
                    for call in calls
                ]
            return message


def _openai_part(part: Object) -> Object:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    return {"type": "image_url", "image_url": {"url": _DATA + as_str(part["image"])}}


_CHOICES: Final = {"auto": "auto", "required": "any", "none": "none"}


def anthropic(meaning: Object, vary: Vary) -> Object:
    """`/v1/messages`."""
    settings = as_object(meaning["settings"])
    request: Object = {"model": "tiny", **_picked(settings, "stream", "max_tokens", "temperature", "top_p", "top_k")}
    request |= {"stop_sequences": settings["stop"]} if "stop" in settings else {}
    request |= {"metadata": {"user_id": settings["user"]}} if "user" in settings else {}
    if tools := _tools(meaning):
        request["tools"] = [
            {"input_schema": tool["parameters"], **_picked(tool, "name", "description")} for tool in tools
        ]
    if "tool_choice" in settings or "parallel_tool_calls" in settings:
        chosen = settings.get("tool_choice", "auto")
        choice: Object = {"type": "tool", **chosen} if isinstance(chosen, dict) else {"type": _CHOICES[as_str(chosen)]}
        if "parallel_tool_calls" in settings:
            choice["disable_parallel_tool_use"] = not settings["parallel_tool_calls"]
        request["tool_choice"] = choice
    if "enable_thinking" in settings:
        on: Object = {"type": "enabled", "budget_tokens": 1024}
        request["thinking"] = on if settings["enable_thinking"] else {"type": "disabled"}
    output: Object = {"effort": settings["reasoning_effort"]} if "reasoning_effort" in settings else {}
    output |= {"format": {"type": "json_schema", "schema": settings["schema"]}} if "schema" in settings else {}
    request |= {"output_config": output} if output else {}
    messages: list[Object] = []
    for turn in _turns(meaning):
        role, blocks = ("assistant" if turn["role"] == "assistant" else "user"), _blocks(turn, vary)
        last = messages[-1] if messages else {}
        # Results, and what the user says beside them, are one turn.
        if turn["role"] != "assistant" and last.get("role") == role and _are_results(last):
            last["content"] = [*as_list(last["content"]), *blocks]
        else:
            lone = len(blocks) == 1 and blocks[0]["type"] == "text" and not vary()
            messages.append({"role": role, "content": blocks[0]["text"] if lone else list[JSON](blocks)})
    if system := as_str(meaning["system"]):
        if vary():
            messages.insert(len(messages) if vary() else 0, {"role": "system", "content": system})
        else:
            request["system"] = [{"type": "text", "text": system}] if vary() else system
    return {**request, "messages": list[JSON](messages)}


def _are_results(message: Object) -> bool:
    return bool(as_list(message["content"])) and all(
        as_object(block).get("type") == "tool_result" for block in as_list(message["content"])
    )


def _blocks(turn: Object, vary: Vary) -> list[Object]:
    match turn["role"]:
        case "user":
            return [_anthropic_part(as_object(part)) for part in as_list(turn["parts"])]
        case "tool":
            text = as_str(turn["text"])
            content: JSON = [{"type": "text", "text": text}] if vary() else text
            return [{"type": "tool_result", "tool_use_id": f"c{turn['call']}", "content": content}]
        case _:
            blocks: list[Object] = []
            if turn["thought"]:
                blocks.append({"type": "thinking", "thinking": turn["thought"], "signature": ""})
            texts = _halves(as_str(turn["text"])) if vary() else [as_str(turn["text"])]
            blocks += [{"type": "text", "text": text} for text in texts if text]
            used: list[Object] = [
                {"type": "tool_use", "id": f"c{call['call']}", "name": call["name"], "input": call["arguments"]}
                for call in _calls(turn)
            ]
            return blocks + used


def _anthropic_part(part: Object) -> Object:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": part["image"]}}


def responses(meaning: Object, vary: Vary) -> Object:
    """`/v1/responses`."""
    settings = as_object(meaning["settings"])
    names = ("stream", "temperature", "top_p", "user", "parallel_tool_calls", "top_logprobs", "tool_choice")
    request: Object = {"model": "tiny", **_picked(settings, *names)}
    request |= {"max_output_tokens": settings["max_tokens"]} if "max_tokens" in settings else {}
    if tools := _tools(meaning):
        request["tools"] = [{"type": "function", **tool} for tool in tools]
    if isinstance(choice := settings.get("tool_choice"), dict):
        request["tool_choice"] = {"type": "function", **choice}
    request |= {"reasoning": {"effort": settings["reasoning_effort"]}} if "reasoning_effort" in settings else {}
    if "schema" in settings:
        request["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": settings["schema"]}}
    items = [item for turn in _turns(meaning) for item in _items(turn, vary)]
    if system := as_str(meaning["system"]):
        if vary():
            role = "developer" if vary() else "system"
            items.insert(len(items) if vary() else 0, {"role": role, "content": _said("input_text", system, vary)})
        else:
            request["instructions"] = system
    return {**request, "input": list[JSON](items)}


def _said(kind: str, text: str, vary: Vary) -> JSON:
    return [{"type": kind, "text": half} for half in _halves(text)] if vary() else text


def _items(turn: Object, vary: Vary) -> list[Object]:
    kind: Object = {"type": "message"} if vary() else {}
    match turn["role"]:
        case "user":
            parts = [_responses_part(as_object(part)) for part in as_list(turn["parts"])]
            lone = len(parts) == 1 and parts[0]["type"] == "input_text" and not vary()
            return [{**kind, "role": "user", "content": parts[0]["text"] if lone else list[JSON](parts)}]
        case "tool":
            text = as_str(turn["text"])
            output: JSON = [{"type": "input_text", "text": text}] if vary() else text
            return [{"type": "function_call_output", "call_id": f"c{turn['call']}", "output": output}]
        case _:
            items: list[Object] = []
            if turn["thought"]:
                part: Object = {"text": turn["thought"]}
                items.append(
                    {"type": "reasoning", "summary": [{"type": "summary_text", **part}]}
                    if vary()
                    else {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", **part}]}
                )
            if text := as_str(turn["text"]):
                items.append({**kind, "role": "assistant", "content": _said("output_text", text, vary)})
            for call in _calls(turn):
                given = json.dumps(call["arguments"])
                made: Object = {"call_id": f"c{call['call']}", "name": call["name"], "arguments": given}
                items.append({"type": "function_call", **made})
            return items


def _responses_part(part: Object) -> Object:
    if "text" in part:
        return {"type": "input_text", "text": part["text"]}
    return {"type": "input_image", "image_url": _DATA + as_str(part["image"])}


def ollama(meaning: Object, vary: Vary) -> Object:
    """`/api/chat`."""
    settings = as_object(meaning["settings"])
    options = _picked(settings, *_SAMPLING, "stop")
    options |= {"num_predict": settings["max_tokens"]} if "max_tokens" in settings else {}
    request: Object = {"model": "tiny", "stream": "stream" in settings}
    if request["stream"] and vary():
        del request["stream"]  # which is Ollama's default
    request |= {"options": options} if options else {}
    if "top_logprobs" in settings:
        request |= {"logprobs": True, "top_logprobs": settings["top_logprobs"]}
    if "enable_thinking" in settings:
        request["think"] = settings["enable_thinking"]
    if "reasoning_effort" in settings:
        request["think"] = settings["reasoning_effort"]
    request |= {"format": settings["schema"]} if "schema" in settings else {}
    request["tools"] = [{"type": "function", "function": tool} for tool in _tools(meaning)]
    named = vary()
    messages = [_ollama_turn(turn, named=named, vary=vary) for turn in _turns(meaning)]
    if system := as_str(meaning["system"]):
        messages.insert(len(messages) if vary() else 0, {"role": "system", "content": system})
    return {**request, "messages": list[JSON](messages)}


def _ollama_turn(turn: Object, *, named: bool, vary: Vary) -> Object:
    match turn["role"]:
        case "user":
            parts = [as_object(part) for part in as_list(turn["parts"])]
            said: Object = {"role": "user", "content": "".join(as_str(part.get("text")) for part in parts)}
            images: list[JSON] = [part["image"] for part in parts if "image" in part]
            return said | ({"images": images} if images else {})
        case "tool":
            known: Object = {"tool_call_id": f"c{turn['call']}"} if named else {}
            known |= {"tool_name": turn["name"]} if vary() else {}
            return {"role": "tool", "content": turn["text"], **known}
        case _:
            calls: list[JSON] = []
            for call in _calls(turn):
                function: Object = {"name": call["name"], "arguments": call["arguments"]}
                calls.append({"function": function, **({"id": f"c{call['call']}"} if named else {})})
            message: Object = {"role": "assistant", "content": turn["text"]}
            message |= {"thinking": turn["thought"]} if turn["thought"] else {}
            return message | ({"tool_calls": calls} if calls else {})
