"""Grants: access rules as plain values, for needs that take no Rego, and the data that the default policy reads.

A grant only ever gives within a credential's own bounds. No grant at all: those bounds decide alone. As soon as there
is one, every request needs one that matches. Of several that match, the most generous counts, attribute by attribute;
`docs/policy.md` says it for people, `policies/rego/access.rego` decides it.

    Grant, Hours   what the configuration holds (`policy.grants`)
    policy_data()  -> the content of `data.gwcfg`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from policies.json import JSON, Object
from policies.names import MAX_NAME, canonical, expression, is_name
from policies.obligations import Capture, ObligationError, Priority, read_obligations

Granted: TypeAlias = Literal[
    "chat",
    "completions",
    "embeddings",
    "rerank",
    "score",
    "tokenize",
    "models.list",
    "models.show",
    "models.pull",
    "models.delete",
]
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

OPERATIONS: Final[tuple[Granted, ...]] = get_args(Granted)
USUAL: Final[tuple[Granted, ...]] = tuple(name for name in OPERATIONS if name not in {"models.pull", "models.delete"})
"""What a grant that does not say gives: to change which models there are has to be said."""
DAYS: Final[tuple[Day, ...]] = get_args(Day)
VERSION: Final = 1
MAX_GRANTS: Final = 1_024
"""As many as a result document can name."""
_WEEK: Final = 7 * 24
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", re.ASCII)
_GLOB: Final = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9._:/@+*?\-]*", re.ASCII)
_MAX_SUBJECT: Final = 256
_MAX_HEADERS: Final = 16
_MAX_TOOLS: Final = 1_024
_NO_TABLE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Hours:
    """Whole hours of some days, in the policy's time zone: from `start` (0 to 23) until before `end` (0 to 24).

    An `end` at or before `start` is in the night after: `days: [fri], start: 22, end: 6` lasts until Saturday, six
    o'clock.
    """

    days: tuple[Day, ...] = DAYS
    """on which days it begins"""
    start: int = 0
    """from this hour, 0 to 23"""
    end: int = 24
    """until before this one, 0 to 24"""

    def __post_init__(self) -> None:
        if not set(self.days) <= set(DAYS) or not self.days:
            raise ValueError(f"days are: {', '.join(DAYS)}")
        if not (0 <= self.start <= 23 and 0 <= self.end <= 24):  # noqa: PLR2004 - hours of a day
            raise ValueError("start is an hour from 0 to 23, end one from 0 to 24")

    def of_week(self) -> frozenset[int]:
        """The hours as numbers, 0 = Monday from 00:00 until 01:00, 167 = Sunday from 23:00."""
        length = self.end - self.start if self.end > self.start else self.end - self.start + 24
        starts = (24 * DAYS.index(day) + self.start for day in self.days)
        return frozenset((start + hour) % _WEEK for start in starts for hour in range(length))


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may use which models how: `id` names it in records, `models` are globs.

    Within the credential's own bounds. Of several that match, the most generous counts (`docs/policy.md`).
    """

    id: str
    """its name in records and in `policy explain`"""
    models: tuple[str, ...]
    """globs over canonical names: `*` any run of characters, `?` one"""
    users: tuple[str, ...] = ()
    """owners of credentials"""
    groups: tuple[str, ...] = ()
    """their groups"""
    keys: tuple[str, ...] = ()
    """ids of credentials"""
    everyone: bool = False
    """whoever has a valid credential; without it, users, groups or keys must be named"""
    operations: tuple[Granted, ...] = USUAL
    """what they may do"""
    networks: tuple[str, ...] = ()
    """names of policy.networks that the caller must be in; empty = anywhere"""
    listeners: tuple[str, ...] = ()
    """by which listeners; empty = any"""
    hours: tuple[Hours, ...] = ()
    """when; empty = always"""
    max_tokens: int | None = None
    """most tokens of one answer"""
    timeout: float | None = None
    """for one answer"""
    tools: bool = True
    """whether requests may carry tools"""
    tool_names: tuple[str, ...] = ()
    """which; empty = any"""
    images: bool = True
    """whether requests may carry images"""
    priority: Priority | None = None
    """the band of the queue"""
    rate_class: str | None = None
    """the class of limits.classes to count in"""
    strip: tuple[str, ...] = ()
    """parameters to take out of requests"""
    redact: tuple[str, ...] = ()
    """what records leave out"""
    capture: Capture = "none"
    """how much of a request is kept"""
    audit: bool = False
    """the decision is on disk before an engine sees the request"""
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_TABLE)
    """to add to answers"""
    aliases: Mapping[str, str] = field(default_factory=lambda: _NO_TABLE)
    """other names for models, for these callers: `alias: model`"""

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.id) is None:
            raise ValueError("id must be 1 to 128 letters, digits, '.', '_', ':', '/' or '-'")
        if not self.models or not all(len(glob) <= MAX_NAME and _GLOB.fullmatch(glob) for glob in self.models):
            raise ValueError("models must name at least one model; * stands for any run of characters, ? for one")
        if not self.operations or not set(self.operations) <= set(OPERATIONS):
            raise ValueError(f"operations are: {', '.join(OPERATIONS)}")
        self._check_subjects()
        self._check_aliases()
        if self.tool_names and not self.tools:
            raise ValueError("tool_names need tools: true")
        try:
            read_obligations(_obligations(self))
        except ObligationError as error:
            raise ValueError(str(error).replace("tools_allowed", "tool_names").replace("_s must", " must")) from None

    def _check_subjects(self) -> None:
        subjects = (*self.users, *self.groups, *self.keys)
        if self.everyone and subjects:
            raise ValueError("everyone: true leaves nobody for users, groups and keys to add")
        if not all(0 < len(name) <= _MAX_SUBJECT and name.isprintable() for name in subjects):
            raise ValueError(f"users, groups and keys have 1 to {_MAX_SUBJECT} printable characters")
        for name in (*self.networks, *self.listeners):
            if not name or not name.isprintable():
                raise ValueError("networks and listeners are the names that the configuration gives them")

    def _check_aliases(self) -> None:
        if not all(is_name(name) for pair in self.aliases.items() for name in pair):
            raise ValueError("aliases are names of models without wildcards: `alias: model`")
        if len({canonical(name) for name in self.aliases}) < len(self.aliases):
            raise ValueError("two of the aliases are one name (ai/ and :latest do not count)")


def policy_data(grants: Sequence[Grant], *, max_tokens: int | None = None, timeout: float | None = None) -> Object:
    """`data.gwcfg` for the default policy: `grants`, in order, and caps that hold whatever they say.

    `max_tokens` of one answer, `timeout` seconds. What is left out of a compiled grant does not limit it. Raises
    ValueError for grants that cannot be in force together.
    """
    _check_together(grants)
    caps: Object = _given({"max_tokens": max_tokens, "timeout_s": timeout})
    try:
        read_obligations(caps)
    except ObligationError as error:
        raise ValueError(str(error)) from None
    compiled: list[JSON] = [_compiled(grant) for grant in grants]
    return {"v": VERSION, "revision": "", "grants": compiled, "caps": caps}


def _check_together(grants: Sequence[Grant]) -> None:
    ids = [grant.id for grant in grants]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"two grants have the id {twice[0]}")
    if len(grants) > MAX_GRANTS:
        raise ValueError(f"at most {MAX_GRANTS} grants can be in force")
    # Obligations of all grants that match are put together, and more than the vocabulary holds would be a no.
    if len({name for grant in grants for name in grant.headers}) > _MAX_HEADERS:
        raise ValueError(f"all grants together may add at most {_MAX_HEADERS} different headers")
    if len({name for grant in grants for name in grant.tool_names}) > _MAX_TOOLS:
        raise ValueError(f"all grants together may name at most {_MAX_TOOLS} tools")
    # A redirect is asked again, once: a second one would be a no.
    aliases = {canonical(alias) for grant in grants for alias in grant.aliases}
    chained = sorted(aliases & {canonical(model) for grant in grants for model in grant.aliases.values()})
    if chained:
        raise ValueError(f"alias {chained[0]} is the model of another alias; name the model itself")


def _compiled(grant: Grant) -> Object:
    models: list[JSON] = [{"glob": glob, "pattern": expression(glob)} for glob in grant.models]
    week: list[JSON] = [*sorted(frozenset[int]().union(*(hours.of_week() for hours in grant.hours)))]
    aliases: Object = {canonical(alias): canonical(model) for alias, model in grant.aliases.items()}
    return {
        "id": grant.id,
        "subjects": _subjects(grant),
        "operations": _texts(grant.operations),
        "models": models,
        "tools": grant.tools,
        "images": grant.images,
        "obligations": _obligations(grant),
        **_given(
            {
                "networks": _texts(grant.networks) or None,
                "listeners": _texts(grant.listeners) or None,
                "hours": week or None,
                "aliases": aliases or None,
            }
        ),
    }


def _subjects(grant: Grant) -> Object:
    """A table, since a grant may name thousands: one look-up per group of the caller instead of a search."""
    kinds = (("user", grant.users), ("group", grant.groups), ("key", grant.keys))
    named: Object = {f"{kind}:{name}": True for kind, names in kinds for name in names}
    return {"everyone": True} if grant.everyone else named


def _obligations(grant: Grant) -> Object:
    return _given(
        {
            "max_tokens": grant.max_tokens,
            "timeout_s": grant.timeout,
            "tools_allowed": _texts(grant.tool_names) or None,
            "priority": grant.priority.value if grant.priority else None,
            "rate_class": grant.rate_class,
            "strip": _texts(grant.strip) or None,
            "redact": _texts(grant.redact) or None,
            "capture": grant.capture if grant.capture != "none" else None,
            "audit": grant.audit or None,
            "headers": dict(grant.headers) or None,
        }
    )


def _given(document: Object) -> Object:
    return {name: value for name, value in document.items() if value is not None}


def _texts(texts: Iterable[str]) -> list[JSON]:
    return list(texts)
