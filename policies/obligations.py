"""What a yes is tied to: the closed vocabulary of obligations, read strictly.

An obligation that is not known, or has a value nobody can act on, is no obligation met: the whole decision then counts
as a no (facts/policy-and-telemetry.md A4). Who honours which one is said in `docs/policy.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar

from policies.json import JSON, Object
from policies.names import MAX_NAME, canonical, is_name

Capture: TypeAlias = Literal["none", "metadata", "full"]


class Priority(StrEnum):
    """Bands of the queue, the first one first."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BATCH = "batch"


class ObligationError(ValueError):
    """An obligation that cannot be met; the text names it in words of ours, for the operator's log."""


STRIPPABLE: Final = frozenset(
    {
        "dimensions", "echo", "frequency_penalty", "logit_bias", "logprobs", "metadata", "parallel_tool_calls",
        "presence_penalty", "reasoning_effort", "seed", "stop", "suffix", "temperature", "tool_choice", "tools",
        "top_logprobs", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty", "repetition_penalty",
        "repeat_last_n", "response_format", "chat_template_kwargs", "user",
    }
)  # fmt: skip
"""Parameters that a request makes sense without."""

RECORDED: Final = frozenset(
    {"caller.id", "caller.name", "model.requested", "request.tool_names", "source.container", "source.ip"}
)
"""What records hold of a request and `redact` can take out of them."""
NEVER_RECORDED: Final = frozenset({"answer", "messages", "tools"})
"""Never in any record unless captured, so taking them out is no work."""

MAX_TOKENS: Final = 2**31
MAX_TIMEOUT: Final = 86_400.0
_MAX_LIST: Final = 1_024
_MAX_HEADERS: Final = 16
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_TOOL: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_HEADER: Final = re.compile(r"x-[a-z0-9-]{1,62}", re.ASCII)
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?", re.ASCII)
_OURS: Final = ("x-request-id", "x-ratelimit-", "x-should-retry", "x-llm-gateway-", "x-api-key", "x-forwarded-")


@dataclass(frozen=True, slots=True)
class Obligations:
    """Everything a decision can ask for; the defaults ask for nothing.

    `max_tokens` most tokens an answer may have. `model` the canonical name to serve instead (re-checked). `models`
    canonical names a listing may show, None = all. `rate_class` and `priority` the limits class and the queue's band.
    `tools_allowed` names of tools that may be offered, None = any. `strip` parameters taken out of the request.
    `capture` how much of it is kept; `redact` fields masked in records. `timeout_s` seconds for the whole answer.
    `headers` added to the answer. `audit` the decision is on disk before the engine sees the request.
    """

    max_tokens: int | None = None
    model: str | None = None
    models: frozenset[str] | None = None
    rate_class: str | None = None
    priority: Priority | None = None
    tools_allowed: frozenset[str] | None = None
    strip: frozenset[str] = frozenset()
    capture: Capture = "none"
    redact: frozenset[str] = frozenset()
    timeout_s: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    audit: bool = False


NOTHING: Final = Obligations()


CAPTURES: Final[tuple[Capture, ...]] = ("none", "metadata", "full")
"""From nothing to everything."""


def merged(first: Obligations, then: Obligations) -> Obligations:
    """Both at once, the stricter of each; of `model`, class and headers, `then` is the one about the model served."""
    return Obligations(
        max_tokens=_least(first.max_tokens, then.max_tokens),
        model=then.model,
        models=_both(first.models, then.models),
        rate_class=then.rate_class or first.rate_class,
        priority=_later(first.priority, then.priority),
        tools_allowed=_both(first.tools_allowed, then.tools_allowed),
        strip=first.strip | then.strip,
        capture=max(first.capture, then.capture, key=CAPTURES.index),
        redact=first.redact | then.redact,
        timeout_s=_least(first.timeout_s, then.timeout_s),
        headers=tuple(sorted({**dict(first.headers), **dict(then.headers)}.items())),
        audit=first.audit or then.audit,
    )


_N = TypeVar("_N", int, float)


def _least(first: _N | None, then: _N | None) -> _N | None:
    return min((value for value in (first, then) if value is not None), default=None)


def _both(first: frozenset[str] | None, then: frozenset[str] | None) -> frozenset[str] | None:
    return first & then if first is not None and then is not None else then if first is None else first


def _later(first: Priority | None, then: Priority | None) -> Priority | None:
    bands = list(Priority)
    return max((band for band in (first, then) if band is not None), key=bands.index, default=None)


def read_obligations(document: JSON) -> Obligations:
    """The obligations of a result document. ObligationError for a name or a value that is not in the vocabulary."""
    if not isinstance(document, dict):
        raise ObligationError("obligations are not an object")
    if not document:
        return NOTHING
    found: dict[str, object] = {}
    for name, value in document.items():
        reader = _READERS.get(name)
        if reader is None:
            raise ObligationError("unknown obligation " + (name if _WORD.fullmatch(name) else "(not a word)"))
        found[name] = reader(name, value)
    return Obligations(**found)  # type: ignore[arg-type] # each reader gives its field's type, tests hold that


def _count(name: str, value: JSON) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TOKENS:
        raise ObligationError(f"{name} must be a whole number from 1 to {MAX_TOKENS}")
    return value


def _model(name: str, value: JSON) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME or not is_name(value):
        raise ObligationError(f"{name} must be the name of a model")
    return canonical(value)


def _strings(name: str, value: JSON) -> list[str]:
    if not isinstance(value, list) or len(value) > _MAX_LIST:
        raise ObligationError(f"{name} must be a list of at most {_MAX_LIST} strings")
    texts = [text for text in value if isinstance(text, str)]
    if len(texts) != len(value):
        raise ObligationError(f"{name} must hold nothing but strings")
    return texts


def _models(name: str, value: JSON) -> frozenset[str]:
    return frozenset(_model(name, text) for text in _strings(name, value))


def _word(name: str, value: JSON) -> str:
    if not isinstance(value, str) or _WORD.fullmatch(value) is None:
        raise ObligationError(f"{name} must be a word of at most 32 of a-z, 0-9, '.', '_' and '-'")
    return value


def _priority(name: str, value: JSON) -> Priority:
    found = next((band for band in Priority if band.value == value), None)
    if found is None:
        raise ObligationError(f"{name} must be one of {', '.join(Priority)}")
    return found


def _tools(name: str, value: JSON) -> frozenset[str]:
    tools = _strings(name, value)
    if not all(_TOOL.fullmatch(tool) for tool in tools):
        raise ObligationError(f"{name} must hold names of tools")
    return frozenset(tools)


def _strip(name: str, value: JSON) -> frozenset[str]:
    return _known(name, value, STRIPPABLE)


def _redact(name: str, value: JSON) -> frozenset[str]:
    return _known(name, value, RECORDED | NEVER_RECORDED)


def _known(name: str, value: JSON, known: frozenset[str]) -> frozenset[str]:
    found = frozenset(_strings(name, value))
    if not found <= known:
        raise ObligationError(f"{name} may hold only: {', '.join(sorted(known))}")
    return found


def _capture(name: str, value: JSON) -> Capture:
    match value:
        case "none" | "metadata" | "full":
            return value
        case _:
            raise ObligationError(f"{name} must be none, metadata or full")


def _seconds(name: str, value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_TIMEOUT:
        raise ObligationError(f"{name} must be seconds, above 0 and at most {MAX_TIMEOUT:g}")
    return float(value)


def _headers(name: str, value: JSON) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > _MAX_HEADERS:
        raise ObligationError(f"{name} must be an object of at most {_MAX_HEADERS} headers")
    found: list[tuple[str, str]] = []
    for key, text in sorted(value.items()):
        if _HEADER.fullmatch(key) is None or key.startswith(_OURS):
            raise ObligationError(f"{name} may hold only lower-case x- headers that are not the gateway's own")
        if not isinstance(text, str) or _VALUE.fullmatch(text) is None:
            raise ObligationError(f"{name} must have values of 1 to 200 printable ASCII characters")
        found.append((key, text))
    return tuple(found)


def _flag(name: str, value: JSON) -> bool:
    if not isinstance(value, bool):
        raise ObligationError(f"{name} must be true or false")
    return value


_READERS: Final[Mapping[str, Callable[[str, JSON], object]]] = MappingProxyType(
    {
        "max_tokens": _count,
        "model": _model,
        "models": _models,
        "rate_class": _word,
        "priority": _priority,
        "tools_allowed": _tools,
        "strip": _strip,
        "capture": _capture,
        "redact": _redact,
        "timeout_s": _seconds,
        "headers": _headers,
        "audit": _flag,
    }
)

NAMES: Final = frozenset(_READERS)
"""The whole vocabulary."""


def obligations_document(obligations: Obligations) -> Object:
    """The obligations as a result document holds them: only those that ask for something."""
    document: Object = {}
    for name in _READERS:
        value: object = getattr(obligations, name)
        if value == getattr(NOTHING, name):
            continue
        match value:
            case frozenset():
                items: list[JSON] = [str(item) for item in sorted(value)]
                document[name] = items
            case tuple():
                document[name] = dict(value)
            case bool() | int() | float() | str():
                document[name] = value
            case _:
                raise TypeError(name)
    return document
