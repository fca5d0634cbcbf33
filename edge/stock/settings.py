"""How models may be fetched for callers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)
_MOST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSettings:
    """`registries` are the hosts that models may come from beside the engines' own registries (Docker Hub, Ollama's
    library), such as `huggingface.co`. `engine` is the one that fetches, null = whichever can. `at_once` are fetched
    for all callers together, `per_caller` for one credential."""

    registries: tuple[str, ...] = ()
    engine: str | None = None
    at_once: int = 2
    per_caller: int = 1

    def __post_init__(self) -> None:
        if not all(_HOST.fullmatch(host) for host in self.registries):
            raise ValueError("registries are host names in lower case, without scheme and path")
        if not 1 <= self.per_caller <= self.at_once <= _MOST:
            raise ValueError(f"per_caller and at_once must be from 1 to {_MOST}, the first at most the second")
