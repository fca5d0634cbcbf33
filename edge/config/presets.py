"""The settings of presets: what is sent where a caller says nothing, and between which bounds what it says is kept.

Ranges are those of the request's own parameters. Which of several presets' values hold is said in edge/presets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Final, TypeVar

from edge.config import leaves
from edge.config.leaves import Leaf
from edge.config.shapes import setting
from edge.identity.grant import glob
from edge.intake.leaves import Int, Number
from edge.intake.openai_params import CEILINGS, EFFORTS, SAMPLING

_RANGES: Final = {field.name: field.kind for field in SAMPLING}
_TOKENS: Final = leaves.integer(1, CEILINGS.max_tokens)
_EFFORT: Final = leaves.one_of(EFFORTS)
_FREE: Final = ("max_tokens", "n")
"""What has a ceiling without a default: an answer without a length gets the ceiling, and one answer is the fewest."""


def _leaf(name: str) -> Leaf:
    kind = _RANGES[name]
    if isinstance(kind, Int):
        return leaves.integer(kind.low, kind.high)
    if isinstance(kind, Number):
        return leaves.number(kind.low, kind.high)
    raise TypeError(name)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What is sent where the caller says nothing; null = nothing is, and the engine does as it does."""

    temperature: float | None = setting(None, "how far from the likeliest token", leaf=_leaf("temperature"))
    top_p: float | None = setting(None, "share of the probability that is drawn from", leaf=_leaf("top_p"))
    top_k: int | None = setting(None, "how many tokens are drawn from; 0 = all", leaf=_leaf("top_k"))
    min_p: float | None = setting(None, "least probability, as a share of the likeliest token's", leaf=_leaf("min_p"))
    repeat_penalty: float | None = setting(None, "above 1: repeats less", leaf=_leaf("repeat_penalty"))
    frequency_penalty: float | None = setting(None, "the same, by how often", leaf=_leaf("frequency_penalty"))
    presence_penalty: float | None = setting(None, "the same, once for all", leaf=_leaf("presence_penalty"))
    max_tokens: int | None = setting(None, "length of an answer", leaf=_TOKENS)
    reasoning_effort: str | None = setting(None, "how much is thought before", leaf=_EFFORT)


@dataclass(frozen=True, slots=True)
class Floors:
    """The least that is sent, whatever the caller says."""

    temperature: float | None = setting(None, "some models repeat themselves for ever at 0", leaf=_leaf("temperature"))
    top_p: float | None = setting(None, "of `top_p`", leaf=_leaf("top_p"))
    min_p: float | None = setting(None, "of `min_p`", leaf=_leaf("min_p"))


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that is sent, whatever the caller says."""

    temperature: float | None = setting(None, "of `temperature`", leaf=_leaf("temperature"))
    top_p: float | None = setting(None, "of `top_p`", leaf=_leaf("top_p"))
    top_k: int | None = setting(None, "of `top_k`, where 0 and -1 are all tokens", leaf=leaves.integer(1, 100_000))
    max_tokens: int | None = setting(None, "of one answer's length", leaf=_TOKENS)
    n: int | None = setting(None, "of answers to one prompt", leaf=leaves.integer(1, CEILINGS.n))
    reasoning_effort: str | None = setting(None, f"in this order: {', '.join(EFFORTS)}", leaf=_EFFORT)


@dataclass(frozen=True, slots=True)
class Values:
    """Defaults and bounds that belong together."""

    defaults: Defaults = setting(Defaults(), "sent where the caller says nothing")
    floors: Floors = setting(Floors(), "the least, whatever the caller says")
    ceilings: Ceilings = setting(Ceilings(), "the most, whatever the caller says")


@dataclass(frozen=True, slots=True)
class Preset(Values):
    """Values for what a model is used for."""

    models: Mapping[str, Values] = setting(
        MappingProxyType({}), "what is different for some models or aliases, by glob: the later entry counts"
    )

    def __post_init__(self) -> None:
        for pattern in self.models:
            glob(pattern)
        _check(self, "")
        for pattern, values in self.models.items():
            _check(over(self, values), f", for `{pattern}`")


_T = TypeVar("_T", Defaults, Floors, Ceilings)


def over(under: Values, upper: Values) -> Values:
    """`under`, changed by what `upper` says."""
    return Values(
        _over(under.defaults, upper.defaults),
        _over(under.floors, upper.floors),
        _over(under.ceilings, upper.ceilings),
    )


def _over(under: _T, upper: _T) -> _T:
    return replace(under, **dict(said(upper)))  # type: ignore[arg-type]  # values of the same fields


def said(values: Defaults | Floors | Ceilings) -> Iterator[tuple[str, float | str]]:
    """Names and values of what is set."""
    for field in fields(values):
        value: float | str | None = getattr(values, field.name)
        if value is not None:
            yield field.name, value


def _check(values: Values, where: str) -> None:
    """ValueError for bounds that contradict each other, or that hold for nothing."""
    defaults, floors, ceilings = (dict(said(part)) for part in (values.defaults, values.floors, values.ceilings))
    for name in sorted({*floors, *ceilings} - {*defaults, *_FREE}):
        # What an engine takes where nothing is said is not known, and a bound that may not hold is none.
        raise ValueError(f"{name} has a bound and no default{where}: say what is sent where the caller says nothing")
    for name, value in defaults.items():
        low, high = floors.get(name, value), ceilings.get(name, value)
        if not rank(name, low) <= rank(name, value) <= rank(name, high):
            raise ValueError(f"the default of {name} is not within its bounds{where}")


def rank(name: str, value: float | str) -> float:
    """By which values of one parameter are compared: efforts by their order, and no limit on `top_k` is the most."""
    if isinstance(value, str):
        return EFFORTS.index(value)
    return float("inf") if name == "top_k" and value <= 0 else value


BUILT_IN: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "code": Preset(
            Defaults(temperature=0.2, top_p=0.95, repeat_penalty=1.0),
            Floors(),
            Ceilings(temperature=0.7, n=4),
        ),
        "chat": Preset(
            Defaults(temperature=0.7, top_p=0.9, min_p=0.02),
            Floors(),
            Ceilings(temperature=1.2, n=4),
        ),
        "creative": Preset(
            Defaults(temperature=1.0, top_p=1.0, min_p=0.05, presence_penalty=0.3),
            Floors(temperature=0.5, min_p=0.02),
            Ceilings(temperature=1.5, n=8),
        ),
        "long-context": Preset(
            Defaults(temperature=0.3, top_p=0.9, repeat_penalty=1.0, frequency_penalty=0.0, presence_penalty=0.0),
            Floors(),
            Ceilings(temperature=0.7, n=1),
        ),
    }
)
"""Why these numbers, and none for the length: docs/presets.md."""
