"""The input document of a policy, v1: everything a decision may rest on, and nothing that was said in the request.

Documented field by field in `docs/policy.md`, published as `policies/schemas/input.v1.schema.json`. Numbers, strings
and lists are always there (0, "", []), so that no rule compares with null. No prompt text and no key material is ever
in it: only counts of the one, and the id of the other. What needs clocks, networks or names is worked out here, so that
policies stay portable and every decision can be replayed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.names import expression
from policies.origin import NO_CONTAINER, Container
from policies.principal import Principal

VERSION: Final = 1
_CHARS_PER_TOKEN: Final = 4
_BESIDE: Final = frozenset({"reasoning", "reasoning_content", "refusal", "tool_calls"})
"""Where in a message text stands beside its content."""
MAX_NAMES: Final = 256
MAX_NS: Final = 1 << 62
"""No time in the document is later, in nanoseconds since the epoch (the year 2116): two of them fit into 64 bits."""
_DIGITS: Final = 4  # of a temperature: nearer to 0 the engines write fractions in different ways


@dataclass(frozen=True, slots=True)
class Instant:
    """The moment of the request in the policy's time zone; `weekday` 0 is Monday."""

    now_ns: int
    iso: str
    hour: int
    minute: int
    weekday: int
    tz: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the request came in: the socket's real peer, the names of the configured networks it lies in, and the
    container there, as far as that was known by then."""

    ip: str
    networks: tuple[str, ...]
    listener: str
    port: int
    tls: bool = False
    container: Container = NO_CONTAINER


@dataclass(frozen=True, slots=True)
class Wanted:
    """The model: `requested` as the caller wrote it (what looks like a key taken out), `resolved` its canonical name.

    `resolved` is "" if the text cannot be a name at all. `engine` is what the path named, "" elsewhere. Whether any
    engine has the model is not said: a policy must not answer differently for hidden and for missing ones.
    """

    requested: str = ""
    resolved: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """What can be said of a request without quoting it. `temperature` -1 and `max_tokens` 0 = not given.

    `prompts` is not in the document: each of them has `n` choices.
    """

    stream: bool = False
    max_tokens: int = 0
    n: int = 1
    temperature: float = -1.0
    tools: int = 0
    tool_names: tuple[str, ...] = ()
    images: int = 0
    audio: int = 0
    messages: int = 0
    input_chars: int = 0
    response_format: str = ""
    has_system: bool = False
    prompts: int = 1


@dataclass(frozen=True, slots=True)
class Counters:
    """What the credential has used in the last minute and day, and has under way."""

    requests_min: int = 0
    tokens_min: int = 0
    tokens_day: int = 0
    concurrent: int = 0


NO_SHAPE: Final = Shape()
NO_COUNTERS: Final = Counters()
NO_MODEL: Final = Wanted()


@dataclass(frozen=True, slots=True)
class PolicyInput:
    """One question to the policy. `models` are the candidates of a listing, empty elsewhere."""

    id: str
    principal: Principal
    place: Place
    operation: Operation
    dialect: Dialect
    method: str
    route: str
    time: Instant
    model: Wanted = NO_MODEL
    shape: Shape = NO_SHAPE
    models: tuple[str, ...] = ()
    usage: Counters = field(default=NO_COUNTERS)

    def document(self) -> Object:
        """The input document."""
        who, place, shape, time, usage = self.principal, self.place, self.shape, self.time, self.usage
        globs: list[JSON] = list(who.models)
        return {
            "v": VERSION,
            "id": self.id,
            "trace_id": self.id,
            "caller": {
                "id": who.id,
                "name": who.name,
                "groups": _list(sorted(who.groups)),
                "roles": [],
                "tenant": "",
                "auth": who.auth,
                "acr": "",
                "claims": {},
            },
            "key": {
                "id": who.key_id,
                "name": who.name,
                "scopes": _list(sorted(who.scopes)),
                "models": globs,
                "patterns": _list(expression(glob) for glob in who.models),
                "created_ns": 0,
                "expires_ns": 0 if who.expires_at is None else int(min(who.expires_at * 1e9, MAX_NS)),
                "tags": [],
            },
            "source": {
                "ip": place.ip,
                "networks": _list(place.networks),
                "container": {
                    "name": place.container.name,
                    "network": place.container.network,
                    "stack": place.container.stack,
                    "service": place.container.service,
                },
                "country": "",
                "tls": {"version": "", "client_cert": ""},
                "via_proxy": False,
            },
            "listener": {"name": place.listener, "port": place.port, "tls": place.tls},
            "model": {
                "requested": self.model.requested,
                "resolved": self.model.resolved,
                "engine": self.model.engine,
                "family": "",
                "tags": [],
                "local": True,
            },
            "models": _list(self.models),
            # What `/v1/me` says of models is a listing; who one is needs no policy.
            "operation": (Operation.MODELS_LIST if self.operation is Operation.ME else self.operation).value,
            "api": {"dialect": self.dialect.value, "method": self.method, "route": self.route},
            "request": {
                "stream": shape.stream,
                "max_tokens": shape.max_tokens,
                "n": shape.n,
                "temperature": shape.temperature,
                "tools": shape.tools,
                "tool_names": _list(shape.tool_names),
                "images": shape.images,
                "audio": shape.audio,
                "messages": shape.messages,
                "input_chars": shape.input_chars,
                "input_tokens_est": shape.input_chars // _CHARS_PER_TOKEN,
                "response_format": shape.response_format,
                "has_system": shape.has_system,
            },
            "time": {
                "now_ns": time.now_ns,
                "iso": time.iso,
                "hour": time.hour,
                "minute": time.minute,
                "weekday": time.weekday,
                "tz": time.tz,
            },
            "usage": {
                "requests_min": usage.requests_min,
                "tokens_min": usage.tokens_min,
                "tokens_day": usage.tokens_day,
                "cost_month": 0.0,
                "concurrent": usage.concurrent,
                "budget": {"limit": 0, "used": 0},
            },
        }


def shape_of(call: Call) -> Shape:
    """The shape of a parsed call."""
    body = call.body
    names = _tool_names(body)
    chars, images, audio, system = _content(body)
    shape = Shape(
        stream=call.stream,
        tools=len(as_list(body.get("tools"))),
        tool_names=names,
        images=images,
        audio=audio,
        messages=len(as_list(body.get("messages"))),
        input_chars=chars,
        response_format=as_str(as_object(body.get("response_format")).get("type")),
        has_system=system,
        prompts=prompts_of(call),
    )
    return with_numbers(shape, call)


def with_numbers(shape: Shape, call: Call) -> Shape:
    """`shape` with the numbers that presets change, as they are in `call`."""
    temperature = call.body.get("temperature")
    return replace(
        shape,
        max_tokens=call.max_tokens or 0,
        n=call.n,
        temperature=round(float(temperature), _DIGITS) if isinstance(temperature, int | float) else -1.0,
    )


def prompts_of(call: Call) -> int:
    """How many prompts a checked call has: only a completion can have several, and a list of tokens is one."""
    prompt = call.body.get("prompt")
    if call.operation is not Operation.COMPLETIONS or not isinstance(prompt, list):
        return 1
    return 1 if not prompt or isinstance(prompt[0], int) else len(prompt)


def _tool_names(body: Object) -> tuple[str, ...]:
    tools = as_list(body.get("tools"))[:MAX_NAMES]
    return tuple(as_str(as_object(as_object(tool).get("function")).get("name")) for tool in tools)


def _content(body: Object) -> tuple[int, int, int, bool]:
    """(characters of text, images, recordings, whether a system message is there)."""
    chars = sum(_chars(body.get(name)) for name in ("prompt", "suffix", "input"))
    chars += pair_chars(body.get("query"), body.get("documents"))
    chars += pair_chars(body.get("text_1"), body.get("text_2"))
    images, audio, system = 0, 0, False
    for message in as_list(body.get("messages")):
        turn = as_object(message)
        system = system or as_str(turn.get("role")) in {"system", "developer"}
        if not _BESIDE.isdisjoint(turn):
            chars += sum(map(len, _beside(turn)))
        content = turn.get("content")
        if isinstance(content, str):
            chars += len(content)
            continue
        for part in as_list(content):
            piece = as_object(part)
            images += piece.get("type") == "image_url"
            audio += piece.get("type") == "input_audio"
            chars += len(_text_in(piece))
    return chars, images, audio, system


def texts_of(turn: Object) -> list[str]:
    """All text that a message brings to the model: its content, its thoughts, a refusal, what tools were called with.

    Whatever is missing here is a way to say more than a policy or a limit allows.
    """
    content = turn.get("content")
    texts = [content] if isinstance(content, str) else [_text_in(as_object(part)) for part in as_list(content)]
    return [text for text in (*texts, *_beside(turn)) if text]


def _text_in(part: Object) -> str:
    return as_str(part.get("text")) or as_str(part.get("refusal"))


def _beside(turn: Object) -> list[str]:
    thought, other = as_str(turn.get("reasoning_content")), as_str(turn.get("reasoning"))
    texts = [thought, as_str(turn.get("refusal")), *calls_of(turn)]
    if other != thought:  # usually one text under both names
        texts.append(other)
    return texts


def calls_of(turn: Object) -> list[str]:
    """What each call of a message was called with."""
    found: list[str] = []
    for call in as_list(turn.get("tool_calls")):
        function = as_object(call).get("function")
        if isinstance(function, dict):
            found.append(as_str(function.get("arguments")))
    return found


def _chars(value: JSON) -> int:
    """Characters of a prompt; a token counts as four."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):
        return _CHARS_PER_TOKEN
    return sum(_chars(item) for item in as_list(value))


def pair_chars(one: JSON, many: JSON) -> int:
    """Characters that a model reads of texts in pairs: one text again with each of many, or two lists side by side.

    Either may be a string, a list of strings or one of objects with a `text`, or absent.
    """
    left, right = _texts(one), _texts(many)
    again = max(len(right), 1) if len(left) == 1 else 1
    return sum(map(len, left)) * again + sum(map(len, right))


def _texts(value: JSON) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [as_str(item.get("text") if isinstance(item, dict) else item) for item in as_list(value)]


def _list(texts: Iterable[str]) -> list[JSON]:
    return list(texts)
