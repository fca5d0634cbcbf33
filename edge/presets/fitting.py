"""A call as presets want it. Pure, and doing it twice is doing it once.

Where several presets count, the default of the first that has one is taken, and the tightest bounds hold: a caller that
names a preset does not get out of its key's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from edge.config.presets import Ceilings, Floors, Values, rank, said
from policies.call import Call, Operation
from policies.json import JSON, Object, as_object

_SAMPLED: Final = frozenset({Operation.CHAT, Operation.COMPLETIONS})
_EFFORT: Final = "reasoning_effort"
_LEAST: Final = "low"
"""The least effort that models are trained on (`parameters.three_levels`)."""
_TEMPLATE: Final = "chat_template_kwargs"
_APART: Final = frozenset({"max_tokens", "n", _EFFORT})
_SYNONYMS: Final = {"repeat_penalty": "repetition_penalty"}
_LENGTHS: Final = ("max_tokens", "max_completion_tokens")


def fitted(call: Call, presets: Sequence[Values]) -> Call:
    """`call` with what it leaves out, and within bounds; `clamped` names what of the caller's own was changed."""
    if not presets or call.counts or call.operation not in _SAMPLED:
        return call
    body, bounds = dict(call.body), _Bounds(presets)
    defaults: dict[str, float | str] = {}
    for values in reversed(presets):
        defaults.update(said(values.defaults))
    _sampling(body, defaults, bounds)
    if call.operation is Operation.CHAT:
        _effort(body, defaults, bounds)
    length = bounds.kept("max_tokens", call.max_tokens, defaults.get("max_tokens"))
    count = bounds.kept("n", call.n, None)
    if "n" in body:
        body["n"] = count
    for name in _LENGTHS:
        if name in body:
            body[name] = length
    return replace(
        call,
        body=body,
        max_tokens=length if isinstance(length, int) else None,
        n=count if isinstance(count, int) else 1,
        clamped=tuple(dict.fromkeys((*call.clamped, *bounds.clamped))),
    )


class _Bounds:
    """The tightest of some presets'; where they contradict each other the ceiling holds."""

    def __init__(self, presets: Sequence[Values]) -> None:
        self._low: dict[str, float | str] = {}
        self._high: dict[str, float | str] = {}
        self.clamped: list[str] = []
        for values in presets:
            _tighten(self._low, values.floors, 1)
            _tighten(self._high, values.ceilings, -1)

    @property
    def names(self) -> frozenset[str]:
        return frozenset({*self._low, *self._high})

    def has_ceiling(self, name: str) -> bool:
        return name in self._high

    def kept(self, name: str, asked: JSON, default: float | str | None) -> JSON:
        """What is sent: `asked`, else `default`, within the bounds; else the ceiling, else nothing."""
        given = asked if isinstance(asked, int | float | str) else default
        if given is None:
            return self._high.get(name)
        value = given
        if name in self._low and rank(name, value) < rank(name, self._low[name]):
            value = self._low[name]
        if name in self._high and rank(name, value) > rank(name, self._high[name]):
            value = self._high[name]
        if asked is not None and value != given:
            self.clamped.append(name)
        return value


def _tighten(known: dict[str, float | str], bounds: Floors | Ceilings, sign: int) -> None:
    for name, value in said(bounds):
        if name not in known or sign * rank(name, value) > sign * rank(name, known[name]):
            known[name] = value


def _sampling(body: Object, defaults: dict[str, float | str], bounds: _Bounds) -> None:
    for name in sorted({*defaults, *bounds.names} - _APART):
        if name in _SYNONYMS and body.get(_SYNONYMS[name]) is not None:
            continue  # the caller has said the same under its other name
        value = bounds.kept(name, body.get(name), defaults.get(name))
        if value is not None:
            body[name] = value


def _effort(body: Object, defaults: dict[str, float | str], bounds: _Bounds) -> None:
    """Who switches thinking on or off has said what an effort would say: only a ceiling can make that less.

    Templates without such a switch (gpt-oss) think at an effort of their own where they are told none, which a ceiling
    has to be above: beside the switch they are told the least there is. Others may refuse an effort that they do not
    know, so nothing is said where no ceiling asks for it.
    """
    arguments = as_object(body.get(_TEMPLATE))
    thinks, bounded = arguments.get("enable_thinking"), bounds.has_ceiling(_EFFORT)
    if body.get(_EFFORT) is None and isinstance(thinks, bool) and not bounded:
        return
    default = defaults.get(_EFFORT)
    if isinstance(thinks, bool):
        default = None if thinks else _LEAST
    value = bounds.kept(_EFFORT, body.get(_EFFORT), default)
    if value is not None:
        body[_EFFORT] = value
    if value == "none" and bounded:
        body[_TEMPLATE] = {**arguments, _EFFORT: _LEAST}
