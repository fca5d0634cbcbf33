"""Which presets a request has: the one its model's name asks for, and the one its key is bound to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edge.config.presets import Preset, Values, over
from edge.presets.fitting import fitted
from engines.naming import Named
from policies.call import Call
from policies.decision import Permit
from policies.errors import Refusal
from policies.names import matches
from policies.principal import Principal
from policies.reasons import Reason


class Presets:
    """Those there are, by name. `take` may be called from any thread."""

    def __init__(self, table: Mapping[str, Preset]) -> None:
        self._table = table

    @property
    def names(self) -> frozenset[str]:
        """Of all of them."""
        return frozenset(self._table)

    def take(self, table: Mapping[str, Preset]) -> None:
        """From now on there are these."""
        self._table = table

    def fit(self, call: Call, principal: Principal, named: Named) -> Call:
        """`call` with what its presets say for the model that it names; Refusal if one of them is not there: a key's
        bounds hold, or nothing is served."""
        chosen = tuple(dict.fromkeys(name for name in (named.preset, principal.preset) if name))
        if not chosen:
            return call
        table = self._table  # one and the same, whatever is taken meanwhile
        for name in chosen:
            if name not in table:
                raise _missing(name, own=name == principal.preset)
        call = fitted(call, [_values(table[name], named) for name in chosen])
        return replace(call, presets=chosen)


def _values(preset: Preset, named: Named) -> Values:
    """What `preset` says for a model, asked for by itself or by an alias."""
    values: Values = preset
    for different in _different(preset, named):
        values = over(values, different)
    return values


def _different(preset: Preset, named: Named) -> Iterator[Values]:
    names = tuple(name for name in (named.model, named.alias) if name)
    for pattern, values in preset.models.items():
        if any(matches(pattern, name) for name in names):
            yield values


def unknown_model(permit: Permit) -> Refusal:
    """There is no model of the permitted name. Whoever may use it is told that its end is no preset either: what is
    kept from a caller is not permitted, and never gets here."""
    if "@" in permit.model:
        return Refusal(Reason.UNKNOWN_PRESET, param="model")
    return Refusal(Reason.MODEL_NOT_PERMITTED)


def _missing(name: str, *, own: bool) -> Refusal:
    if own:
        return Refusal(Reason.PRESET_NOT_CONFIGURED, detail=f"the key's preset {name}")
    return Refusal(Reason.UNKNOWN_PRESET, param="model")
