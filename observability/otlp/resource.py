"""Who sends: the resource that all three signals carry. No host name: it says more of its owner than of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICE: Final = "llm-gateway"


@dataclass(frozen=True, slots=True)
class Resource:
    """One gateway process; `instance` is random for each."""

    version: str
    instance: str
    pid: int

    def attributes(self) -> dict[str, str | int]:
        """In the conventions' names."""
        return {
            "service.name": SERVICE,
            "service.version": self.version,
            "service.instance.id": self.instance,
            "process.pid": self.pid,
        }
