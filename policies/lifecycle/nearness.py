"""How far a request was from a yes: the credential's own bounds, and each grant of the default policy's data.

Works on the compiled grants of `data.gwcfg.grants` (`policies/grants.py`). A condition that is not there, or not known
here, is not judged: for policies of one's own there is `experiment.py`, which asks the policy itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from policies.call import Operation
from policies.decision import NEEDS
from policies.json import JSON, Object, as_count, as_list, as_object, as_str
from policies.names import matches

_LISTING: Final = Operation.MODELS_LIST.value
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK: Final = 7 * 24
_MAY_LACK: Final = frozenset({"tools", "images", "tool_names"})
"""Conditions that a grant may fail and still match: the request is then refused for what it carries."""


@dataclass(frozen=True, slots=True)
class Miss:
    """One condition that was not met: what it wants (JSON for programs), what the request had."""

    condition: str
    wanted: JSON
    had: JSON


@dataclass(frozen=True, slots=True)
class Standing:
    """A grant and the conditions of it that the request failed."""

    id: str
    misses: tuple[Miss, ...]

    @property
    def matched(self) -> bool:
        """Whether it holds for this caller, place, hour and model; what the request carries is another matter."""
        return all(miss.condition in _MAY_LACK for miss in self.misses)


def bounds(document: Object, *, target: str = "") -> tuple[Miss, ...]:
    """What the credential itself lacks: scope, a glob for the model (and for `target`, what an alias leads to), time.

    Its networks and listeners are not in the input; the gateway checks them before (reason `place_not_permitted`).
    """
    key, operation = as_object(document.get("key")), as_str(document.get("operation"))
    misses: list[Miss] = []
    need = next((scope for known, scope in NEEDS.items() if known.value == operation), None)
    scopes = as_list(key.get("scopes"))
    if need is not None and need.value not in scopes:
        misses.append(Miss("scope", need.value, scopes))
    model = _model(document)
    globs = [glob for glob in as_list(key.get("models")) if isinstance(glob, str)]
    if operation not in {_LISTING, Operation.ME.value}:
        names = dict.fromkeys((model, target or model))
        misses += [Miss("model", list(globs), name) for name in names if not any(matches(g, name) for g in globs)]
    expires, now = _whole(key.get("expires_ns")), _whole(as_object(document.get("time")).get("now_ns"))
    if 0 < expires <= now:
        misses.append(Miss("expiry", expires, now))
    return tuple(misses)


def standings(data: Object, document: Object, *, target: str = "") -> list[Standing]:
    """Every grant with what failed, the nearest first. `target`: the model that would be served, if an alias is."""
    name = target or _model(document)
    found = [
        Standing(as_str(grant.get("id")), tuple(_misses(grant, document, name)))
        for grant in map(as_object, as_list(data.get("grants")))
        if isinstance(grant.get("subjects"), dict)
    ]
    return sorted(found, key=lambda standing: (not standing.matched, len(standing.misses)))


def _misses(grant: Object, document: Object, model: str) -> Iterable[Miss]:
    operation = as_str(document.get("operation"))
    who, subjects = _who(document), as_object(grant.get("subjects"))
    if not any(subjects.get(name) for name in who):
        yield Miss("subject", list(subjects), [*who[1:]])
    yield from _one_of("operation", grant.get("operations"), operation)
    if operation != _LISTING:
        yield from _covering(grant, model)
    place = as_object(document.get("source"))
    yield from _any_of("network", grant.get("networks"), as_list(place.get("networks")))
    yield from _one_of("listener", grant.get("listeners"), as_str(as_object(document.get("listener")).get("name")))
    yield from _timely(grant, as_object(document.get("time")))
    yield from _carried(grant, as_object(document.get("request")))


def _who(document: Object) -> list[str]:
    """The caller in the words that grants name subjects with, `everyone` first."""
    caller, key = as_object(document.get("caller")), as_object(document.get("key"))
    groups = [f"group:{group}" for group in as_list(caller.get("groups")) if isinstance(group, str)]
    return ["everyone", f"user:{as_str(caller.get('id'))}", *groups, f"key:{as_str(key.get('id'))}"]


def _one_of(condition: str, wanted: JSON, had: str) -> Iterable[Miss]:
    if isinstance(wanted, list) and had not in wanted:
        yield Miss(condition, wanted, had)


def _any_of(condition: str, wanted: JSON, had: Sequence[JSON]) -> Iterable[Miss]:
    if isinstance(wanted, list) and not any(item in wanted for item in had):
        yield Miss(condition, wanted, list(had))


def _covering(grant: Object, model: str) -> Iterable[Miss]:
    """By the globs, not by the patterns: those are the policy's, and Python's `re` is no place for a stranger's."""
    globs = [as_str(as_object(item).get("glob")) for item in as_list(grant.get("models"))]
    if globs and all(globs) and not any(matches(glob, model) for glob in globs):
        yield Miss("model", list(globs), model)


def _timely(grant: Object, time: Object) -> Iterable[Miss]:
    hours, weekday, hour = grant.get("hours"), as_count(time.get("weekday")), as_count(time.get("hour"))
    if isinstance(hours, list) and weekday is not None and hour is not None and weekday * 24 + hour not in hours:
        ranges: list[JSON] = list(hour_ranges(hours))
        yield Miss("hours", ranges, f"{_DAYS[weekday % 7]} {hour:02d}")


def _carried(grant: Object, request: Object) -> Iterable[Miss]:
    tools, images = as_count(request.get("tools")) or 0, as_count(request.get("images")) or 0
    if tools and grant.get("tools") is False:
        yield Miss("tools", wanted=False, had=tools)
    if images and grant.get("images") is False:
        yield Miss("images", wanted=False, had=images)
    obligations = as_object(grant.get("obligations"))
    allowed = obligations.get("tools_allowed")
    if tools and isinstance(allowed, list) and "tools" not in as_list(obligations.get("strip")):
        beyond = [name for name in as_list(request.get("tool_names")) if name not in allowed]
        if beyond:
            yield Miss("tool_names", allowed, beyond)


def hour_ranges(hours: Iterable[JSON]) -> list[str]:
    """Hours of the week (0 = Monday from 00:00) as `mon 08-18`, `fri 22 - sat 06`; days that are alike stay apart."""
    wanted = sorted({hour for hour in hours if isinstance(hour, int) and 0 <= hour < _WEEK})
    runs: list[list[int]] = []
    for hour in wanted:
        if runs and runs[-1][-1] == hour - 1:
            runs[-1].append(hour)
        else:
            runs.append([hour])
    if len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == _WEEK - 1:  # Sunday's night goes on on Monday
        runs[0] = runs.pop() + runs[0]
    return [_range(run[0], run[-1] + 1) for run in runs]


def _range(start: int, end: int) -> str:
    if start == 0 and end == _WEEK:
        return "always"
    day, last = divmod(start, 24)[0], ((end - 1) % _WEEK) // 24
    until = (end - 1) % 24 + 1
    if day == last:
        return f"{_DAYS[day]} {start % 24:02d}-{until:02d}"
    return f"{_DAYS[day]} {start % 24:02d} - {_DAYS[last]} {until:02d}"


def _model(document: Object) -> str:
    return as_str(as_object(document.get("model")).get("resolved"))


def _whole(value: JSON) -> int:
    """Nanoseconds since the epoch are past what `as_count` takes for a count."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
