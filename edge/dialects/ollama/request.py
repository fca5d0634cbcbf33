"""Ollama's checked requests as chat bodies, prompts to complete or inputs to embed. Pure.

Source: facts/engines.md 3.2, ollama 0.32 `server/routes.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edge.dialects import turns
from edge.dialects.contract import Translated
from edge.dialects.ollama.pictures import media_type
from policies.call import Aim, Form, Operation
from policies.json import JSON, Object, as_list, as_object, as_str

_KNOCK: Final[Object] = {"role": "user", "content": "hi"}
"""What an engine is asked for one token of an answer, so that it loads the model."""
_PROMPTS: Final = ("prompt", "images", "suffix")
_UNPLAIN: Final = ("think", "logprobs", "top_logprobs")


def translate(request: Object, operation: Operation, form: Form) -> Translated:
    """`request` must have passed the spec of `operation` and `form` in `edge.intake.ollama_params`."""
    match operation:
        case Operation.EMBEDDINGS:
            return Translated(operation, _embeddings(request, form))
        case Operation.CHAT if not _asks(request, form):
            return _load(request)
        case Operation.CHAT:
            return _answer(request, form)
        case Operation.MODELS_PULL:
            return Translated(operation, {"model": request["model"], "stream": request.get("stream") is not False})
        case _:
            return Translated(operation, {"model": request["model"]})


def _embeddings(request: Object, form: Form) -> Object:
    given = request["prompt" if form is Form.EMBEDDING else "input"]
    body: Object = {"model": request["model"], "input": given, "encoding_format": "float"}
    return body | ({"dimensions": request["dimensions"]} if "dimensions" in request else {})


def _asks(request: Object, form: Form) -> bool:
    """Whether there is something to answer."""
    return any(request.get(name) for name in (_PROMPTS if form is Form.GENERATE else ("messages",)))


def _load(request: Object) -> Translated:
    """What is asked without a prompt."""
    keep = request.get("keep_alive")
    aim = Aim.UNLOAD if keep is not None and _is_nothing(keep) else Aim.LOAD
    stream = aim is Aim.LOAD and request.get("stream") is not False
    body: Object = {"model": request["model"], "stream": stream, "messages": [_KNOCK], "max_tokens": 1}
    return Translated(Operation.CHAT, body, aim, () if aim is Aim.UNLOAD else _kept(request))


def _answer(request: Object, form: Form) -> Translated:
    body: Object = {"model": request["model"], "stream": request.get("stream") is not False}
    body |= _options(as_object(request.get("options")))
    if form is Form.GENERATE and (request.get("raw") is True or request.get("suffix")):
        plain: Object = {name: request[name] for name in ("prompt", "suffix") if request.get(name)}
        lost = tuple(name for name in _UNPLAIN if name in request)
        return Translated(Operation.COMPLETIONS, {**body, "prompt": "", **plain}, ignored=(*_kept(request), *lost))
    body |= {name: request[name] for name in ("logprobs", "top_logprobs", "tools") if name in request}
    body["messages"] = list(_prompt(request) if form is Form.GENERATE else _messages(request))
    body |= _thinking(request.get("think")) | _format(request.get("format"))
    return Translated(Operation.CHAT, body, ignored=_kept(request))


def _kept(request: Object) -> tuple[str, ...]:
    return ("keep_alive",) if "keep_alive" in request else ()


def _is_nothing(keep_alive: JSON) -> bool:
    """Whether it is no time at all: `0`, `"0s"`, `"0m0s"`."""
    if isinstance(keep_alive, str):
        return not any(digit in keep_alive for digit in "123456789")
    return keep_alive == 0


def _options(options: Object) -> Object:
    body = dict(options)
    most = body.pop("num_predict", None)
    return body | {"max_tokens": most} if isinstance(most, int) and most > 0 else body


def _thinking(think: JSON) -> Object:
    if isinstance(think, bool):
        return {"chat_template_kwargs": {"enable_thinking": think}}
    return {"reasoning_effort": think} if think else {}


def _format(wanted: JSON) -> Object:
    if isinstance(wanted, dict):
        return {"response_format": turns.json_schema(wanted)}
    return {"response_format": {"type": "json_object"}} if wanted else {}


def _prompt(request: Object) -> Iterator[JSON]:
    yield from turns.system_turn([as_str(request.get("system"))])
    yield {"role": "user", "content": _content(as_str(request.get("prompt")), request)}


def _messages(request: Object) -> Iterator[JSON]:
    given = [as_object(turn) for turn in as_list(request.get("messages"))]
    yield from turns.system_turn(as_str(turn.get("content")) for turn in given if turn["role"] == "system")
    calls = _Calls()
    for turn in given:
        text = as_str(turn.get("content"))
        match turn["role"]:
            case "user":
                yield {"role": "user", "content": _content(text, turn)}
            case "assistant":
                made = calls.made([as_object(call) for call in as_list(turn.get("tool_calls"))])
                yield turns.assistant_turn(text, as_str(turn.get("thinking")), made)
            case "tool":
                identity = calls.answered(as_str(turn.get("tool_call_id")), as_str(turn.get("tool_name")))
                yield turns.result_turn(identity, text)
                if pictures := _pictures(turn):
                    yield {"role": "user", "content": turns.content(pictures)}
            case _:
                pass


def _content(text: str, turn: Object) -> JSON:
    return turns.content([*([turns.words(text)] if text else []), *_pictures(turn)])


def _pictures(turn: Object) -> list[Object]:
    datas = map(as_str, as_list(turn.get("images")))
    return [turns.picture(turns.data_url(media_type(data), data)) for data in datas]


class _Calls:
    """Names for calls of tools: Ollama's callers may leave out which call a result belongs to."""

    def __init__(self) -> None:
        self._made = 0
        self._open: list[tuple[str, str]] = []  # identity, function; of the latest turn

    def made(self, calls: list[Object]) -> list[JSON]:
        """The calls of a turn in the chat's form. A turn without any leaves those before it open."""
        if not calls:
            return []
        told: list[JSON] = []
        self._open = []
        for call in calls:
            function = as_object(call["function"])
            identity = as_str(call.get("id")) or self._name()
            self._open.append((identity, as_str(function["name"])))
            told.append(turns.tool_call(identity, function["name"], function.get("arguments", {})))
        return told

    def answered(self, identity: str, function: str) -> str:
        """Which call a result answers: the one it names, else the first open one of that function, or of any."""
        fits = (
            each for each in self._open if (each[0] == identity if identity else not function or each[1] == function)
        )
        found = next(fits, None)
        if found is None:
            return identity or self._name()
        self._open.remove(found)
        return found[0]

    def _name(self) -> str:
        self._made += 1
        return f"call_{self._made - 1}"
