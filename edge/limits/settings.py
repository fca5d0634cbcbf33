"""What the configuration says of limits: classes, and rules for owners, groups, models, listeners and keys.

Every amount is of one window that slides: `tokens: {day: 100000}` holds in any 24 hours. 0 = suspended: nothing goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from edge.limits.contract import DAY, HOUR, LARGEST, MINUTE, MONTH, Meter, OnStoreError, Window

DEFAULT: Final = "default"
"""The class of every key that a policy puts into no other."""
_MOST: Final = LARGEST // 1000  # GPU seconds are counted in milliseconds


def _check(name: str, most: int | None) -> None:
    if most is not None and not 0 <= most <= _MOST:
        raise ValueError(f"{name} must be from 0 (suspended) to {_MOST:,}")


class Per(StrEnum):
    """Whose counter a rule is about: each key has its own, or each owner, and so on."""

    KEY = "key"
    OWNER = "owner"
    GROUP = "group"
    MODEL = "model"
    LISTENER = "listener"


@dataclass(frozen=True, slots=True)
class Amounts:
    """At most so much in any minute, hour, day (24 h) and month (30 days); null = no limit."""

    minute: int | None = None
    hour: int | None = None
    day: int | None = None
    month: int | None = None

    def __post_init__(self) -> None:
        for name in ("minute", "hour", "day", "month"):
            _check(name, getattr(self, name))

    def windows(self) -> Iterator[tuple[Window, int]]:
        """The windows that are bounded, and by what."""
        for window, most in ((MINUTE, self.minute), (HOUR, self.hour), (DAY, self.day), (MONTH, self.month)):
            if most is not None:
                yield window, most


NONE: Final = Amounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitClass:
    """Limits under a name.

    `tokens` are input and output together; `rpm`, `tpm` and `tpd` are short for `requests.minute`, `tokens.minute` and
    `tokens.day`. `gpu_seconds` is the time an engine works on answers. `concurrency` is of requests at once.
    """

    rpm: int | None = None
    tpm: int | None = None
    tpd: int | None = None
    requests: Amounts = NONE
    input: Amounts = NONE
    output: Amounts = NONE
    tokens: Amounts = NONE
    gpu_seconds: Amounts = NONE
    concurrency: int | None = None

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm", "tpd", "concurrency"):
            _check(name, getattr(self, name))
        for short, long in (("rpm", "requests.minute"), ("tpm", "tokens.minute"), ("tpd", "tokens.day")):
            meter, window = long.split(".")
            if getattr(self, short) is not None and getattr(getattr(self, meter), window) is not None:
                raise ValueError(f"{short} and {long} are the same limit: give one of them")

    def bounds(self) -> Iterator[tuple[Meter, Window, int]]:
        """Every bounded meter and window; GPU time in milliseconds."""
        for most, meter, window in (
            (self.rpm, Meter.REQUESTS, MINUTE),
            (self.tpm, Meter.TOKENS, MINUTE),
            (self.tpd, Meter.TOKENS, DAY),
        ):
            if most is not None:
                yield meter, window, most
        for amounts, meter, factor in (
            (self.requests, Meter.REQUESTS, 1),
            (self.input, Meter.INPUT, 1),
            (self.output, Meter.OUTPUT, 1),
            (self.tokens, Meter.TOKENS, 1),
            (self.gpu_seconds, Meter.GPU_MS, 1000),
        ):
            for window, most in amounts.windows():
                yield meter, window, most * factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(LimitClass):
    """Limits for whom or what it names; one counter for each key, owner, group, model or listener (`per`).

    `owners`, `keys` (names or ids), `groups`, `models` (globs) and `listeners` say what it is about; empty = any. One
    with `until` ends by itself; while it holds, the rules that it `replaces` do not (`key` = a key's own limits).
    `shadow` counts and says what it would have refused, and refuses nothing.
    """

    name: str
    per: Per = Per.KEY
    keys: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    listeners: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
    until: str | None = None
    shadow: bool = False

    def __post_init__(self) -> None:
        # `super()` does not work in a dataclass with slots: it names the class before they were added.
        LimitClass.__post_init__(self)
        _ = self.ends
        if not self.name.isprintable() or not self.name or self.name in {"key", DEFAULT}:
            raise ValueError(f"a rule needs a name of printable characters, other than `key` and `{DEFAULT}`")
        if self.name in self.replaces:
            raise ValueError("a rule cannot replace itself")
        if self.until is None and self.replaces:
            raise ValueError("a rule that replaces others needs an `until`: change the others for good instead")
        if not any(True for _ in self.bounds()) and self.concurrency is None and not self.replaces:
            raise ValueError("a rule needs a limit, like tpd, requests, tokens or concurrency")

    @property
    def ends(self) -> float | None:
        """When it ends, in seconds since the epoch; None = never. A date alone is its midnight in UTC."""
        if self.until is None:
            return None
        try:
            moment = datetime.fromisoformat(self.until)
        except ValueError:
            raise ValueError("until must be a date or a time like 2026-12-01 or 2026-12-01T18:00:00+01:00") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What callers may do, how often, and how much."""

    classes: Mapping[str, LimitClass] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[Rule, ...] = ()
    on_store_error: OnStoreError = OnStoreError.LOCAL
    store_error_share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.store_error_share <= 1:
            raise ValueError("store_error_share must be above 0 and at most 1")
        if not all(name.isprintable() for name in self.classes):
            raise ValueError("the name of a class must be of printable characters")
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are named {twice[0]}")
        unknown = sorted({other for rule in self.rules for other in rule.replaces} - {*names, "key", DEFAULT})
        if unknown:
            raise ValueError(f"there is no rule {unknown[0]} to replace")
