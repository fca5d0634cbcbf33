"""Which paths an input document v1 has, taken from one that is made: a rule that reads any other reads nothing."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from policies.call import Dialect, Operation
from policies.input import MAX_NS, Instant, Place, PolicyInput
from policies.json import JSON, Object
from policies.principal import Principal

_OPEN: Final = (("caller", "claims"),)
"""Objects whose keys come from elsewhere."""
_PLAIN: Final = frozenset(
    {
        *(("id",), ("trace_id",), ("operation",), ("models",)),
        *(("api", "dialect"), ("api", "method"), ("api", "route")),
        *(("key", "scopes"), ("model", "resolved"), ("source", "ip"), ("time", "iso")),
        *(("source", "container", part) for part in ("name", "network", "stack", "service")),
    }
)
"""Texts, and lists of texts, that are always ASCII."""
_MANY: Final = 1 << 50  # more than any count of the gateway comes to
_FRACTIONS: Final = frozenset({("request", "temperature"), ("usage", "cost_month")})


@cache
def sample() -> Object:
    """An input document with every field."""
    who = Principal("id", "key", "name", "key", frozenset({"group"}), frozenset())
    place = Place("192.0.2.1", ("office",), "local", 8080)
    moment = Instant(0, "", 0, 0, 0, "UTC")
    question = PolicyInput("id", who, place, Operation.CHAT, Dialect.OPENAI, "POST", "/v1/chat/completions", moment)
    return question.document()


def is_known(path: tuple[str, ...]) -> bool:
    """Whether an input document has `path`."""
    value: JSON = sample()
    for depth, word in enumerate(path):
        if path[:depth] in _OPEN:
            return True
        if not isinstance(value, dict) or word not in value:
            return False
        value = value[word]
    return True


def has_open_keys(path: tuple[str, ...]) -> bool:
    """Whether what stands at `path` comes from elsewhere, as JSON of any shape."""
    return any(path[: len(other)] == other for other in _OPEN)


def range_at(path: tuple[str, ...]) -> tuple[int, int, bool]:
    """(lowest, highest, whether whole) of the number that always stands at `path`."""
    if path[-1].endswith("_ns"):
        return 0, MAX_NS, True
    return (-1, _MANY, False) if path in _FRACTIONS else (0, _MANY, True)


def text_at(path: tuple[str, ...]) -> Literal["plain", "any"] | None:
    """What the text at `path`, or each text of the list there, can hold: only ASCII, or any. None if it is neither."""
    if path in _PLAIN:
        return "plain"
    return "any" if kind_at(path) in {"text", "array"} else None


def kind_at(path: tuple[str, ...]) -> str | None:
    """The kind of value that always stands at `path` of an input document; None if it has none, or any."""
    value: JSON = sample()
    for depth, word in enumerate(path):
        if path[:depth] in _OPEN or not isinstance(value, dict) or word not in value:
            return None
        value = value[word]
    return kind_of_value(value)


def kind_of_value(value: JSON) -> str:
    """What Rego calls the kind of a JSON value: text, number, boolean, null, array or object."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "text"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
