"""Small policies, and a store with a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.policy.store import PolicyStore
from edge.store.database import Database
from policies.bundle import Bundle

NOW = 1_800_000_000.0
HEAD = "package gateway.authz\n\n"


@dataclass
class Clock:
    """A clock that only tests move."""

    at: float = NOW

    def __call__(self) -> float:
        return self.at


def open_policies(folder: Path, clock: Clock | None = None) -> PolicyStore:
    return PolicyStore(Database(f"sqlite:///{folder / 'gateway.db'}"), now=clock or Clock())


def bundle(text: str = "", **data: int) -> Bundle:
    """A bundle that differs by `text` and `data`."""
    return Bundle({"access.rego": f"{HEAD}# {text}\n"}, {"access_test.rego": f"{HEAD}# test\n"}, dict(data))
