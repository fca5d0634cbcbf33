"""Which finished requests somebody wants to see. Pure; judged on the access line, so on nothing that is redacted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policies.json import JSON, Object, as_object, as_str
from policies.names import canonical, matches
from policies.reasons import Reason
from policies.record import MASK

_MS: Final = 1000
_LONGEST: Final = 256
_MOST_STARS: Final = 2
"""Each further one multiplies what a comparison may take; two cost 0.3 ms at the very worst."""
_STATUS: Final = re.compile(r"[1-5](?:xx|[0-9]{2})", re.ASCII)
_SECONDS: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)


class BadFilterError(ValueError):
    """`name` is the filter, the text says what it may be; nothing that was sent is in it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass(frozen=True, slots=True)
class Filter:
    """All that are set must hold; "" or 0 = any.

    `caller` is an owner or a key's id, `model` a glob, `status` a status or a class like `4xx`, `reason` one of
    `policies.reasons` or `any`, `slower` seconds that it must have taken at least.
    """

    caller: str = ""
    model: str = ""
    engine: str = ""
    status: str = ""
    reason: str = ""
    slower: float = 0.0

    def wants(self, line: Object) -> bool:
        """Whether the access line is one of those."""
        return (
            (not self.caller or (self.caller != MASK and self.caller in (line.get("caller"), line.get("key_id"))))
            and (not self.model or any(self._names(line.get(field)) for field in ("model", "requested_model")))
            and (not self.engine or line.get("engine") == self.engine)
            and (not self.status or _has(line.get("status"), self.status))
            and (not self.reason or self._because(line.get("reason")))
            and (not self.slower or _total(line) >= self.slower)
        )

    def _names(self, model: JSON) -> bool:
        return isinstance(model, str) and model not in {"", MASK} and matches(self.model, canonical(model))

    def _because(self, reason: JSON) -> bool:
        return reason is not None if self.reason == ANY else reason == self.reason


NO_FILTER: Final = Filter()
NAMES: Final = ("caller", "model", "engine", "status", "reason", "slower")
ANY: Final = "any"


def read_filter(pairs: Iterable[tuple[str, str]]) -> Filter:
    """The filter of name and value pairs. BadFilterError: an unknown name (name ""), one twice, or a value it cannot
    have."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            raise BadFilterError("", "known filters are: " + ", ".join(NAMES))
        if name in given:
            raise BadFilterError(name, "may be given once")
        if not value or len(value) > _LONGEST or not value.isprintable():
            raise BadFilterError(name, f"must be 1 to {_LONGEST} printable characters")
        given[name] = value
    return Filter(
        caller=given.get("caller", ""),
        model=_glob(given.get("model", "")),
        engine=given.get("engine", ""),
        status=_status(given.get("status", "")),
        reason=_reason(given.get("reason", "")),
        slower=_seconds(given.get("slower", "")),
    )


def _glob(text: str) -> str:
    if text.count("*") > _MOST_STARS:
        raise BadFilterError("model", f"may hold at most {_MOST_STARS} stars")
    return text


def _status(text: str) -> str:
    if text and _STATUS.fullmatch(text) is None:
        raise BadFilterError("status", "must be a status like 429, or a class like 4xx")
    return text


def _reason(text: str) -> str:
    if text and text != ANY and text not in set(Reason):
        raise BadFilterError("reason", f"must be `{ANY}`, or the code of a refusal, like {Reason.QUEUE_FULL.value}")
    return text


def _seconds(text: str) -> float:
    if text and _SECONDS.fullmatch(text) is None:
        raise BadFilterError("slower", "must be seconds, like 2 or 0.5")
    return float(text) if text else 0.0


def _has(status: JSON, wanted: str) -> bool:
    return str(status) == wanted or (wanted.endswith("xx") and str(status)[:1] == wanted[0])


def _total(line: Object) -> float:
    total = as_object(line.get("ms")).get("total")
    return total / _MS if isinstance(total, int | float) and math.isfinite(total) else 0.0


def describe(chosen: Filter) -> str:
    """The filter in words, for people; "" = everything."""
    parts = [f"{name} {as_str(value)}" for name in NAMES[:-1] if (value := getattr(chosen, name))]
    return ", ".join([*parts, f"slower than {chosen.slower:g} s"] if chosen.slower else parts)
