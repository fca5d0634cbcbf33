"""What would have helped, for any policy: change one thing of the input and ask the policy again.

    changes = single_changes(document, known)
    answers = await evaluator.evaluate_many([orjson.dumps(change.input) for change in changes])
    what_would_help(changes, answers)

Changes that the caller can make come before those that take an administrator.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policies.engine import PolicyFault
from policies.json import JSON, Object, as_count, as_list, as_object, as_str
from policies.lifecycle.nearness import bounds
from policies.lifecycle.replay import verdict
from policies.names import canonical
from policies.principal import Scope

_MOST: Final = 50
"""Names of one sort that are tried."""
_HOUR_NS: Final = 3_600_000_000_000
_CAPS: Final = (8192, 4096, 2048, 1024, 512, 256, 64, 1)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PER_KIND: Final = 5
_FIRST_ONLY: Final = frozenset({"max_tokens", "input", "hour", "weekday"})
"""Kinds whose first success says it all: the others ask for more of the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """Names that there are: of groups, networks, listeners and models. Nothing else can be tried."""

    groups: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def with_grants(self, data: Object) -> Known:
        """These, and the names that the grants of `data.gwcfg` speak of."""
        groups, networks, listeners = list(self.groups), list(self.networks), list(self.listeners)
        for grant in map(as_object, as_list(data.get("grants"))):
            subjects = as_object(grant.get("subjects"))
            groups += [name.removeprefix("group:") for name in subjects if name.startswith("group:")]
            networks += [name for name in as_list(grant.get("networks")) if isinstance(name, str)]
            listeners += [name for name in as_list(grant.get("listeners")) if isinstance(name, str)]
        return Known(_unique(groups), _unique(networks), _unique(listeners), self.models)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different, in words, and the whole input with it."""

    kind: str
    description: str
    input: Object


def single_changes(document: Object, known: Known) -> list[Change]:
    """All changes that are tried, the smallest first: some 250 at most of each sort together, in a fixed order."""
    tries = (_request, _models, _place, _time, _caller, _credential, _usage)
    return [change for attempt in tries for change in attempt(document, known)]


def what_would_help(changes: Sequence[Change], answers: Sequence[JSON | PolicyFault]) -> list[Change]:
    """Those of `changes` that turn the answer into a yes within the credential's bounds, at most five of one kind.

    `answers` are the policy's, one for each change.
    """
    found: list[Change] = []
    for change, answer in zip(changes, answers, strict=True):
        said = verdict(answer)
        target = as_str(said.obligations.get("model"))
        most = 1 if change.kind in _FIRST_ONLY else _PER_KIND
        enough = sum(other.kind == change.kind for other in found) >= most
        if said.allow and not enough and not bounds(change.input, target=target):
            found.append(change)
    return found


def _request(document: Object, _: Known) -> Iterator[Change]:
    request = as_object(document.get("request"))
    tools, images = as_count(request.get("tools")) or 0, as_count(request.get("images")) or 0
    names = [name for name in as_list(request.get("tool_names")) if isinstance(name, str)]
    if len(names) > 1:
        for name in _unique(names)[:_MOST]:
            rest: list[JSON] = [other for other in names if other != name]
            left = tools - len(names) + len(rest)
            yield _with(document, "tool", f"without the tool {name}", "request", tools=left, tool_names=rest)
    if tools:
        yield _with(document, "tools", "without tools", "request", tools=0, tool_names=[])
    if images:
        yield _with(document, "images", "without images", "request", images=0)
    cap = as_count(request.get("max_tokens")) or 0
    for smaller in _CAPS:
        if not cap or smaller < cap:
            yield _with(document, "max_tokens", f"with max_tokens {smaller}", "request", max_tokens=smaller)
    if (as_count(request.get("n")) or 1) > 1:
        yield _with(document, "n", "with one choice (n 1)", "request", n=1)
    streamed = request.get("stream") is True
    yield _with(document, "stream", "not streamed" if streamed else "streamed", "request", stream=not streamed)
    chars = as_count(request.get("input_chars")) or 0
    for part in (chars // 2, chars // 8, chars // 64):
        if part:
            text = f"with at most {part} characters of input"
            yield _with(document, "input", text, "request", input_chars=part, input_tokens_est=part // 4)


def _models(document: Object, known: Known) -> Iterator[Change]:
    now = as_str(as_object(document.get("model")).get("resolved"))
    if now:
        for name in known.models[:_MOST]:
            if canonical(name) != now:
                text = f"with the model {name}"
                yield _with(document, "model", text, "model", requested=name, resolved=canonical(name))


def _place(document: Object, known: Known) -> Iterator[Change]:
    source, listener = as_object(document.get("source")), as_object(document.get("listener"))
    networks = as_list(source.get("networks"))
    for name in known.networks[:_MOST]:
        if name not in networks:
            yield _with(document, "network", f"from the network {name}", "source", networks=[*networks, name])
    for name in known.listeners[:_MOST]:
        if name != listener.get("name"):
            yield _with(document, "listener", f"on the listener {name}", "listener", name=name)


def _time(document: Object, _: Known) -> Iterator[Change]:
    """Later hours of the day, then the earlier ones as those of tomorrow; then the same hour of the next six days."""
    time = as_object(document.get("time"))
    hour, weekday = as_count(time.get("hour")), as_count(time.get("weekday"))
    if hour is None or weekday is None or hour > 23 or weekday > 6:  # noqa: PLR2004 - hours and days
        return
    for later in range(1, 24):
        day = (weekday + (hour + later) // 24) % 7
        text = f"at {(hour + later) % 24:02d}:00, {later} h later"
        yield Change("hour", text, _at(document, later, (hour + later) % 24, day))
    for days in range(1, 7):
        day = (weekday + days) % 7
        yield Change("weekday", f"on a {_DAYS[day]} at this hour", _at(document, 24 * days, hour, day))


def _at(document: Object, later: int, hour: int, weekday: int) -> Object:
    time = as_object(document.get("time"))
    moved: Object = {**time, "hour": hour, "weekday": weekday}
    now = time.get("now_ns")
    if isinstance(now, int):
        moved["now_ns"] = now + later * _HOUR_NS
    with contextlib.suppress(ValueError, OverflowError):  # it is for people; rules reckon with `now_ns`
        moved["iso"] = (datetime.fromisoformat(as_str(time.get("iso"))) + timedelta(hours=later)).isoformat()
    return {**document, "time": moved}


def _caller(document: Object, known: Known) -> Iterator[Change]:
    groups = as_list(as_object(document.get("caller")).get("groups"))
    for name in known.groups[:_MOST]:
        if name not in groups:
            yield _with(document, "group", f"with the caller in the group {name}", "caller", groups=[*groups, name])


def _credential(document: Object, _: Known) -> Iterator[Change]:
    key = as_object(document.get("key"))
    scopes = as_list(key.get("scopes"))
    for scope in Scope:
        if scope.value not in scopes:
            yield _with(document, "scope", f"with the scope {scope.value}", "key", scopes=[*scopes, scope.value])
    if "*" not in as_list(key.get("models")):
        text = "with a credential for all models"
        yield _with(document, "globs", text, "key", models=["*"], patterns=["^.*$"])
    if key.get("expires_ns"):
        yield _with(document, "expiry", "with a credential that does not expire", "key", expires_ns=0)


def _usage(document: Object, _: Known) -> Iterator[Change]:
    usage = as_object(document.get("usage"))
    counts: Object = {name: 0 for name, value in usage.items() if as_count(value)}
    if counts:
        yield _with(document, "usage", "with nothing used yet", "usage", **counts)


def _with(document: Object, kind: str, text: str, section: str, /, **values: JSON) -> Change:
    """`document` with some values of one section replaced."""
    return Change(kind, text, {**document, section: {**as_object(document.get(section)), **values}})


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
