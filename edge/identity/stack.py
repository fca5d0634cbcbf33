"""What a Compose stack's service is called among the keys. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_MOST: Final = 64  # of a key's name and owner: edge/identity/grant.py
STACKS: Final = "compose"
"""What owners of stacks begin with, before a colon, as those of an issuer's users do with its name."""
# compose-spec: a project's name; a service's may begin with anything of these.
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,254}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-zA-Z0-9._-]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StackService:
    """One service of one stack. ValueError unless both are names that Compose gives."""

    project: str
    service: str

    def __post_init__(self) -> None:
        if _PROJECT.fullmatch(self.project) is None:
            raise ValueError("a project's name is of lower-case letters, digits, - and _")
        if _SERVICE.fullmatch(self.service) is None:
            raise ValueError("a service's name is of letters, digits, '.', - and _")

    @property
    def owner(self) -> str:
        """For limits and grants of the whole stack."""
        return _short(f"{STACKS}:{self.project}")

    @property
    def name(self) -> str:
        """Of its key."""
        return _short(f"{self.project}/{self.service}")


def _short(text: str) -> str:
    """What is too long is cut, and stays different from all others that begin so."""
    return text if len(text) <= _MOST else f"{text[: _MOST - 9]}~{sha256(text.encode()).hexdigest()[:8]}"
