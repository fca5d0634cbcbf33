"""What a scratch child has to work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policies.json import Object


@dataclass(frozen=True, slots=True)
class Job:
    """File names to texts, and what stands under `data.gwcfg`."""

    modules: Mapping[str, str]
    tests: Mapping[str, str]
    data: Object
