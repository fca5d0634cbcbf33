"""Chat messages on their way to an engine: parts rebuilt from known fields, no URL an engine would fetch.

mlx-lm opens every `http(s)` image URL itself (`_inline_image_urls`, mlx_lm/server.py, also for part types `image` and
`input_image`), vLLM fetched images and audio from anywhere (CVE-2025-6242, CVE-2026-24779): a caller could make the
host ask any internal address. So a part reaches an engine only as text or as data, and is written anew.
"""

from __future__ import annotations

from typing import Final

from policies.errors import Refusal
from policies.json import JSON, Object, as_object, as_str
from policies.reasons import Reason

TEXT_OR_DATA: Final = "Content parts may be text, an image as a data: URL, or audio as data."
TEXT_ONLY: Final = "This engine takes text only."
BOTH_NAMES: Final = ("reasoning_content", "reasoning")
"""Of an earlier turn's reasoning: llama.cpp and most chat templates read the one, vLLM and Ollama the other."""

_AUDIO_FORMATS: Final = frozenset({"wav", "mp3", "flac", "ogg", "m4a"})


def prepared(messages: JSON, *, media: bool, flat: bool = False, thoughts: tuple[str, ...] = BOTH_NAMES) -> list[JSON]:
    """`messages` as an engine may see them; `media` is whether it takes images and audio at all, `thoughts` under which
    names it reads what the assistant once thought.

    `flat` joins a content of text parts to one string, by line as vLLM does: Ollama would make several messages of it,
    and templates behind llama-cpp-python print the list.

    Role `developer` becomes `system`: chat templates know system, user, assistant and tool, and many raise on others.
    All that is said as the system becomes one message at the start: templates of Qwen and others raise on a second one.
    Raises Refusal(INVALID_PARAMETER, param="messages").
    """
    if not isinstance(messages, list):
        raise _refused(TEXT_OR_DATA)
    return _one_system([_message(message, media=media, flat=flat, thoughts=thoughts) for message in messages])


def _message(message: JSON, *, media: bool, flat: bool, thoughts: tuple[str, ...]) -> Object:
    if not isinstance(message, dict):
        raise _refused(TEXT_OR_DATA)
    content = message.get("content")
    changed: Object = {}
    if isinstance(content, list):
        parts = [_part(part, media=media) for part in content]
        changed["content"] = _joined(parts) if flat else parts
    elif content is None and flat and message.get("role") == "assistant":
        # OpenAI writes null beside tool_calls, and agents send it back; llama_cpp.server answers 500 to it.
        changed["content"] = ""
    elif content is not None and not isinstance(content, str):
        raise _refused(TEXT_OR_DATA)
    if message.get("role") == "developer":
        changed["role"] = "system"
    if any(name in message for name in BOTH_NAMES):
        kept = {name: value for name, value in message.items() if name not in BOTH_NAMES}
        # Agents that keep what they were given send both, with the same text.
        thought = next((text for name in BOTH_NAMES if (text := message.get(name))), None)
        return {**kept, **changed, **(dict.fromkeys(thoughts, thought) if thought else {})}
    return {**message, **changed} if changed else message


def _one_system(messages: list[Object]) -> list[JSON]:
    said = [message for message in messages if message.get("role") == "system"]
    if not said or (len(said) == 1 and said[0] is messages[0]):
        return list[JSON](messages)
    content = _together([message.get("content") for message in said])
    merged: list[JSON] = [{"role": "system", "content": content}] if content else []
    return [*merged, *(message for message in messages if message.get("role") != "system")]


def _together(contents: list[JSON]) -> JSON:
    """Several contents as one: text with an empty line between them, parts where one of them is more than that."""
    if all(isinstance(content, str) for content in contents):
        return "\n\n".join(as_str(content) for content in contents if content)
    parts: list[JSON] = []
    for content in contents:
        if isinstance(content, list):
            parts += content
        elif content:
            parts.append({"type": "text", "text": content})
    return parts


def _joined(parts: list[JSON]) -> JSON:
    texts = [text for part in parts if isinstance(text := as_object(part).get("text"), str)]
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _part(part: JSON, *, media: bool) -> JSON:
    fields = as_object(part)
    match fields.get("type"):
        case "text":
            return {"type": "text", "text": as_str(fields.get("text"))}
        case "refusal":
            return {"type": "refusal", "refusal": as_str(fields.get("refusal"))}
        case "image_url" | "input_audio" if not media:
            raise _refused(TEXT_ONLY)
        case "image_url":
            return _image(as_object(fields.get("image_url")))
        case "input_audio":
            return _audio(as_object(fields.get("input_audio")))
        case _:
            raise _refused(TEXT_OR_DATA)


def _image(image: Object) -> JSON:
    url = as_str(image.get("url"))
    if not url.startswith("data:image/"):
        raise _refused(TEXT_OR_DATA)
    detail = image.get("detail")
    kept: Object = {"url": url, "detail": detail} if detail in ("auto", "low", "high") else {"url": url}
    return {"type": "image_url", "image_url": kept}


def _audio(audio: Object) -> JSON:
    data, form = as_str(audio.get("data")), as_str(audio.get("format"))
    if not data or form not in _AUDIO_FORMATS or ":" in data:  # base64 holds no colon, a URL always does
        raise _refused(TEXT_OR_DATA)
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def _refused(hint: str) -> Refusal:
    return Refusal(Reason.INVALID_PARAMETER, param="messages", hint=hint)
