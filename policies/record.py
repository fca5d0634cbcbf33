"""One recorded decision: what `replay`, `explain` and OPA's decision-log export read. Pure; the store is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from policies.json import JSON, Object, as_count, as_object, as_str

MASK: Final = "(redacted)"
_ALIKE: Final[Mapping[str, tuple[str, ...]]] = {
    "caller.name": ("caller.name", "key.name"),
    "source.ip": ("source.ip", "source.container"),  # who is to be nowhere is in no container either
}
"""What says the same in another place goes with it."""
_OF_TOKEN: Final = {**_ALIKE, "caller.id": ("caller.id", "caller.name", "key.id", "key.name")}
"""Of a JWT all of these hold its subject."""


@dataclass(frozen=True, slots=True)
class Record:
    """A decision as it was taken.

    `id` is the request's, `at` seconds since the epoch. `input` is the whole input document. `result` is the result
    document, None if the policy was not asked or gave none. `allow` is what the gateway made of it, `reason` the
    gateway's own word for a no, "" for a yes. `engine` is who answered: embedded, opa, remote, cache, last-good,
    fleet (an OPA reported it), or credential (the key's own bounds; the policy was not asked). `masked` names the
    fields that an obligation took out: such a record is no longer replayed. `redirect` counts the re-checks after a
    `model` obligation, 0 = first question.
    """

    id: str
    at: float
    input: Object
    result: Object | None
    allow: bool
    reason: str
    detail: str
    revision: str
    engine: str
    took_us: int
    masked: tuple[str, ...] = ()
    redirect: int = 0
    audit: bool = False

    def document(self) -> Object:
        """As one JSON line."""
        line: Object = {
            "id": self.id,
            "at": self.at,
            "allow": self.allow,
            "reason": self.reason,
            "engine": self.engine,
            "revision": self.revision,
            "took_us": self.took_us,
            "input": self.input,
            "result": self.result,
        }
        if self.detail:
            line["detail"] = self.detail
        if self.masked:
            masked: list[JSON] = list(self.masked)
            line["masked"] = masked
        if self.redirect:
            line["redirect"] = self.redirect
        if self.audit:
            line["audit"] = True
        return line


def read_record(line: Object) -> Record | None:
    """The record in a line that `document` made; None for a line that is none (another version, a torn write)."""
    at, given, took = line.get("at"), line.get("input"), as_count(line.get("took_us"))
    allow, result, masked = line.get("allow"), line.get("result"), line.get("masked", [])
    if not isinstance(at, int | float) or not isinstance(given, dict) or took is None or not isinstance(allow, bool):
        return None
    if not isinstance(result, dict | None) or not isinstance(masked, list):
        return None
    return Record(
        id=as_str(line.get("id")),
        at=float(at),
        input=given,
        result=result,
        allow=allow,
        reason=as_str(line.get("reason")),
        detail=as_str(line.get("detail")),
        revision=as_str(line.get("revision")),
        engine=as_str(line.get("engine")),
        took_us=took,
        masked=tuple(as_str(name) for name in masked),
        redirect=as_count(line.get("redirect")) or 0,
        audit=line.get("audit") is True,
    )


def mask(document: Object, fields: Iterable[str]) -> tuple[Object, tuple[str, ...]]:
    """A copy of an input document without the dotted `fields` that it holds, and which those were."""
    masked: list[str] = []
    copy = dict(document)
    alikes = _OF_TOKEN if as_object(document.get("caller")).get("auth") == "jwt" else _ALIKE
    names = {alike for name in fields for alike in alikes.get(name, (name,))}
    for name in sorted(names):
        section, _, leaf = name.partition(".")
        inner = as_object(copy.get(section))
        if leaf and leaf in inner:
            copy[section] = {**inner, leaf: _masked(inner[leaf])}
            masked.append(name)
    return copy, tuple(masked)


def _masked(value: JSON) -> JSON:
    """What stands in place of `value`: of the same shape, so that whoever reads the fields still finds them."""
    match value:
        case list():
            return []
        case dict():
            return {name: _masked(inner) for name, inner in value.items()}
        case _:
            return MASK
