"""What a name is made of: a model, or an alias, and the presets behind it. Pure, and for the configuration too."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from policies.names import canonical


class Named(NamedTuple):
    """What a name means: the model's canonical name, the preset that is named with it, and the alias that it is or
    holds, in canonical spelling; "" if there is none."""

    model: str
    preset: str = ""
    alias: str = ""


def parted(key: str, presets: Container[str], aliases: Container[str] = ()) -> Named:
    """Canonical `key` without the presets at its end, of which the last one counts; an alias stays whole: the operator
    wrote it. What is left has none, so that asking again what it means never leads to another model."""
    chosen = ""
    while key not in aliases:
        base, at, preset = key.rpartition("@")
        if not at or not base or preset not in presets:
            break
        key, chosen = canonical(base), chosen or preset
    return Named(key, chosen)
