"""Which bounds a request falls under: from configuration and credential to `Bound`s. Pure; the time is passed in.

Whatever applies holds, so the strictest wins. A key without limits of its own has those of class `default`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from edge.limits.contract import DAY, GENERATED, LARGEST, MINUTE, READ, Bound, Meter, Seats, Window
from edge.limits.settings import DEFAULT, LimitClass, LimitSettings, Per, Rule
from policies.names import matches
from policies.principal import Principal, Quota

KEY: Final = "key"
"""In `replaces`: a key's own limits."""
_REMEMBERED: Final = 4_096
WATCHED: Final = ((Meter.REQUESTS, MINUTE), (Meter.TOKENS, MINUTE), (Meter.TOKENS, DAY))
"""What policies are told of every key (`input.usage`), limited or not."""
_NO_CLASS: Final = LimitClass()


@dataclass(frozen=True, slots=True)
class Applying:
    """All that holds for one kind of request: `bounds` over windows, `seats` at once. `until` the next change.

    `most_gpu_ms`: the most that can be held of the engine's time, so that a hold is never larger than a limit; 0 = no
    limit. `meters_input`, `meters_output`: whether a prompt's tokens or generated ones are limited, so that they must
    be counted exactly, or as they come.
    """

    bounds: tuple[Bound, ...]
    seats: tuple[Seats, ...]
    until: float | None = None
    most_gpu_ms: int = field(init=False)
    meters_input: bool = field(init=False)
    meters_output: bool = field(init=False)

    def __post_init__(self) -> None:
        gpu = (bound.most or 1 for bound in self.bounds if bound.meter is Meter.GPU_MS)
        limited = {bound.meter for bound in self.bounds if not bound.shadow}
        object.__setattr__(self, "most_gpu_ms", min(gpu, default=0))
        object.__setattr__(self, "meters_input", not READ.isdisjoint(limited))
        object.__setattr__(self, "meters_output", not GENERATED.isdisjoint(limited))


@dataclass(frozen=True, slots=True)
class Asking:
    """What decides which limits apply: who, which model, where, and the class a policy put the request into."""

    principal: Principal
    model: str
    listener: str
    rate_class: str | None = None


class Rules:
    """All limits of one configuration. Answers are remembered: they change with the configuration and at `until`s."""

    def __init__(self, settings: LimitSettings) -> None:
        self._classes = settings.classes
        self._rules = settings.rules
        self._known: OrderedDict[Asking, Applying] = OrderedDict()

    @staticmethod
    def watched(who: Principal) -> tuple[Bound, ...]:
        """The counters of `WATCHED`, as bounds that nothing reaches."""
        return _watched(who.key_id)

    def applying(self, asking: Asking, now: float) -> Applying:
        """What holds for `asking` at `now` (seconds since the epoch)."""
        known = self._known.get(asking)
        if known is None or (known.until is not None and now >= known.until):
            known = self._known[asking] = self._apply(asking, now)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def counters(self, asking: Asking, now: float) -> tuple[Bound, ...]:
        """The bounds of every counter that such a request is charged to, whatever limits its key has by itself."""
        any_key = replace(asking.principal, quota=Quota(rpm=1, tpm=1, tpd=1))
        return self._apply(replace(asking, principal=any_key), now).bounds

    def _apply(self, asking: Asking, now: float) -> Applying:
        about = [rule for rule in self._rules if _is_about(rule, asking)]
        in_force = [rule for rule in about if rule.ends is None or now < rule.ends]
        bounds = {(bound.subject, bound.meter, bound.window): bound for bound in self.watched(asking.principal)}
        seats: list[Seats] = []
        for group in self._groups(asking, in_force):
            for meter, window, most in group.amounts:
                bound = Bound(group.subject, meter, window, most, group.shadow, group.name)
                bounds[group.subject, meter, window] = bound
            if group.concurrency is not None:
                seats.append(Seats(group.subject, group.concurrency, group.shadow, group.name))
        ends = [rule.ends for rule in in_force if rule.ends is not None]
        return Applying(tuple(bounds.values()), tuple(seats), min(ends, default=None))

    def _groups(self, asking: Asking, in_force: list[Rule]) -> Iterator[_Group]:
        replaced = frozenset(name for rule in in_force for name in rule.replaces)
        key = f"key:{asking.principal.key_id}"
        yield self._own(asking.principal, key, replaced)
        if asking.rate_class is not None and asking.rate_class in self._classes:
            limits, name = self._classes[asking.rate_class], f"class {asking.rate_class}"
            # In one process the credential's own line (edge/queue/gate.py) lets no more through than there are seats.
            yield _Group(f"class:{asking.rate_class} {key}", tuple(limits.bounds()), limits.concurrency, name)
        for rule in in_force:
            for subject in _subjects(rule, asking):
                found = _Group(
                    f"rule:{rule.name} {subject}", tuple(rule.bounds()), rule.concurrency, rule.name, rule.shadow
                )
                yield found.counting() if rule.name in replaced else found

    def _own(self, who: Principal, key: str, replaced: frozenset[str]) -> _Group:
        """The key's own limits; for what it does not say, those of the class `default`."""
        default = _NO_CLASS if DEFAULT in replaced else self._classes.get(DEFAULT, _NO_CLASS)
        amounts = {(meter, window): most for meter, window, most in default.bounds()}
        quota = who.quota
        for meter, window, most in (
            (Meter.REQUESTS, MINUTE, quota.rpm),
            (Meter.TOKENS, MINUTE, quota.tpm),
            (Meter.TOKENS, DAY, quota.tpd),
        ):
            if most is not None:
                amounts[meter, window] = most
        concurrency = default.concurrency if quota.concurrency is None else quota.concurrency
        own = _Group(key, tuple((*which, most) for which, most in amounts.items()), concurrency, f"key {who.name}")
        return own.counting() if KEY in replaced else own


@lru_cache(maxsize=_REMEMBERED)
def _watched(key: str) -> tuple[Bound, ...]:
    return tuple(Bound(f"key:{key}", meter, window, LARGEST, shadow=True) for meter, window in WATCHED)


@dataclass(frozen=True, slots=True)
class _Group:
    """Limits that share a counter's subject."""

    subject: str
    amounts: tuple[tuple[Meter, Window, int], ...]
    concurrency: int | None
    name: str
    shadow: bool = False

    def counting(self) -> _Group:
        """The same while another rule replaces it: it counts, refuses nothing and is not told of."""
        return replace(self, concurrency=None, name="", shadow=True)


def _is_about(rule: Rule, asking: Asking) -> bool:
    who = asking.principal
    return (
        (not rule.keys or who.key_id in rule.keys or who.name in rule.keys)
        and (not rule.owners or who.id in rule.owners)
        and (not rule.groups or bool(rule.groups & who.groups))
        and (not rule.listeners or asking.listener in rule.listeners)
        and (not rule.models or any(matches(glob, asking.model) for glob in rule.models))
    )


def _subjects(rule: Rule, asking: Asking) -> Iterator[str]:
    """Whose counters the rule is about in this request; several only for groups."""
    who = asking.principal
    match rule.per:
        case Per.KEY:
            yield f"key:{who.key_id}"
        case Per.OWNER:
            yield f"owner:{who.id}"
        case Per.GROUP:
            yield from (f"group:{group}" for group in sorted(who.groups & (rule.groups or who.groups)))
        case Per.MODEL if asking.model:
            yield f"model:{asking.model}"
        case Per.LISTENER:
            yield f"listener:{asking.listener}"
        case _:
            return
