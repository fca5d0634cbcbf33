"""A small schema language: what a document may hold, and what of it goes on.

A spec is a tree of kinds: leaves (`leaves.py`) check one value, `Record` and those in `kinds.py` hold others. `check`
gives back a new document that holds known parameters only. An allow-list with a range on every number is what keeps
`n_discard: -1` from being an out-of-bounds write in llama.cpp (facts/security.md F14), and keeps out what comes next.

* Unknown names are dropped and named, since real clients send many (facts/clients.md 1.8), or refused when strict.
* A name that only folds onto a known one is always refused (`spelling.fold`).
* Known names that no engine has a use for (`store`, `service_tier`) are dropped and named, strict or not.
* `null` means absent, as in OpenAI's API, unless the field says it is `nullable`: then it is kept.
* Types are exact: `true` is no integer, `5.0` and `1e2` are none either (Go refuses them, Python rounds them), "5" is
  no number.

`param` and `hint` of a refusal are made from the spec alone; nothing of the caller's is ever in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, TypeAlias

from edge.intake.spelling import fold, shown
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

Trail: TypeAlias = "tuple[Trail, str] | None"
"""Where in the document we are: known names, and `[]` for an element. Rendered only when it has to be shown."""

FOLDED: Final = "A parameter name differs from a known one only in case or Unicode form."
TOO_MANY_UNKNOWN: Final = "There are too many unknown parameters."
MAX_UNKNOWN: Final = 1000  # distinct names looked at in one document: folding them costs time
MAX_IGNORED: Final = 32
MAX_SHOWN: Final = 64


class Notes:
    """What is gathered while a document is read: dropped names, and whether there may be any; media parts seen."""

    __slots__ = ("_folds", "_ignored", "media", "strict")

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.media = 0
        self._folds: dict[str, str] = {}
        self._ignored: dict[str, None] = {}

    @property
    def ignored(self) -> tuple[str, ...]:
        return tuple(self._ignored)

    def drop(self, at: Trail, name: str) -> None:
        """Remember that `name` was left out; only the first MAX_IGNORED different ones are kept."""
        if len(self._ignored) < MAX_IGNORED:
            self._ignored[path((at, shown(name)))[:MAX_SHOWN]] = None

    def fold(self, at: Trail, name: str) -> str:
        """`fold(name)`, worked out once for a name that every message of a conversation has."""
        folded = self._folds.get(name)
        if folded is None:
            if len(self._folds) >= MAX_UNKNOWN:
                fail(at, TOO_MANY_UNKNOWN)
            folded = self._folds[name] = fold(name)
        return folded


def path(at: Trail) -> str:
    """`messages[].content`."""
    text = ""
    while at is not None:
        at, name = at
        text = name + (text if not text or text.startswith("[") else "." + text)
    return text


def fail(at: Trail, hint: str | None, reason: Reason = Reason.INVALID_PARAMETER) -> NoReturn:
    """Refuse the parameter at `at`; `hint` is a constant of the spec."""
    raise Refusal(reason, param=path(at) or None, hint=hint)


class Kind(Protocol):
    """One kind of value. `types` are the Python types it may have, `hint` says in a sentence what it must be."""

    @property
    def hint(self) -> str: ...
    @property
    def types(self) -> frozenset[type]: ...

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        """The value that goes on. Refusal(INVALID_PARAMETER), or what a nested kind refuses."""


@dataclass(frozen=True, slots=True)
class Field:
    """A known parameter."""

    name: str
    kind: Kind
    required: bool = False
    nullable: bool = False


class Record:
    """An object with known members. `dropped` are known but useless names; `rule` judges members together."""

    hint = "It must be an object."
    types = frozenset({dict})

    def __init__(
        self, *fields: Field, dropped: Iterable[str] = (), rule: Callable[[Object, Trail], None] | None = None
    ) -> None:
        self._fields = {field.name: field for field in fields}
        self._dropped = frozenset(dropped) - self._fields.keys()
        self._folds = {fold(name) for name in (*self._fields, *self._dropped)}
        self._required = tuple(field.name for field in fields if field.required)
        self._rule = rule

    @property
    def names(self) -> tuple[str, ...]:
        """All known names, also those that are dropped."""
        return (*self._fields, *self._dropped)

    def fields(self) -> Mapping[str, Kind]:
        """The parameters that go on, and their kinds."""
        return {name: field.kind for name, field in self._fields.items()}

    def read(self, value: JSON, at: Trail, notes: Notes, /) -> JSON:
        return self.members(value, at, notes)

    def members(self, value: JSON, at: Trail, notes: Notes) -> Object:
        """`read`, typed as the object it gives."""
        if not isinstance(value, dict):
            fail(at, self.hint)
        clean: Object = {}
        for name, item in value.items():
            field = self._fields.get(name)
            if field is None:
                self._leave_out(name, at, notes)
            elif item is not None:
                clean[name] = field.kind.read(item, (at, name), notes)
            elif field.nullable:
                clean[name] = None
        for name in self._required:
            if name not in clean:
                fail((at, name), None, Reason.MISSING_PARAMETER)
        if self._rule is not None:
            self._rule(clean, at)
        return clean

    def _leave_out(self, name: str, at: Trail, notes: Notes) -> None:
        if name not in self._dropped:
            if notes.fold(at, name) in self._folds:
                fail(at, FOLDED)
            if notes.strict:
                fail(at, None, Reason.UNKNOWN_PARAMETER)
        notes.drop(at, name)


def check(document: Object, spec: Record, *, strict: bool = False) -> tuple[Object, tuple[str, ...]]:
    """The known part of `document`, checked, and the names of what was left out.

    At most MAX_IGNORED names of at most MAX_SHOWN characters `[A-Za-z0-9_.\\[\\]?-]`, each once. Refusal with
    INVALID_PARAMETER, MISSING_PARAMETER or, when strict, UNKNOWN_PARAMETER; its `param` is the innermost known place.
    """
    notes = Notes(strict=strict)
    clean = spec.members(document, None, notes)
    return clean, notes.ignored
