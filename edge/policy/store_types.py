"""What the store holds, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from policies.bundle import Bundle
from policies.json import JSON, Object


class Action(StrEnum):
    """How a policy came into force."""

    APPLY = "apply"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class StoredRevision:
    """A policy as its author wrote it; `revision` is `bundle.revision`. Times are seconds since the epoch."""

    revision: str
    bundle: Bundle
    created_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the history. `revision` None = the gateway's default policy; `previous` = what it replaced."""

    seq: int
    revision: str | None
    previous: str | None
    action: Action
    at: float
    author: str
    note: str
    report: Object = field(default_factory=dict)

    def document(self) -> Object:
        """As JSON for scripts."""
        return {
            "seq": self.seq,
            "revision": self.revision,
            "previous": self.previous,
            "action": self.action.value,
            "at": self.at,
            "author": self.author,
            "note": self.note,
            "report": self.report,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy somebody works on."""

    name: str
    bundle: Bundle
    updated_at: float
    author: str

    def document(self) -> Object:
        """As JSON for scripts, without the texts."""
        modules: list[JSON] = list(self.bundle.modules)
        tests: list[JSON] = list(self.bundle.tests)
        return {
            "name": self.name,
            "revision": self.bundle.revision,
            "updated_at": self.updated_at,
            "author": self.author,
            "modules": modules,
            "tests": tests,
        }


@dataclass(frozen=True, slots=True)
class StoredShadow:
    """The candidate that runs beside the live policy. `sample` is the share, 0.0 to 1.0, of decisions it sees too."""

    bundle: Bundle
    sample: float
    started_at: float
    author: str
    counters: Object

    @property
    def identity(self) -> tuple[str, float, float]:
        """Which run it is: counters change, this does not."""
        return self.bundle.revision, self.sample, self.started_at


@dataclass(frozen=True, slots=True)
class Instance:
    """What one OPA of the fleet said last. `code` is "" unless it could not take the policy, and `message` says why."""

    id: str
    labels: Object
    revision: str
    seen_at: float
    code: str = ""
    message: str = ""

    def document(self) -> Object:
        """As JSON for scripts."""
        return {
            "id": self.id,
            "labels": self.labels,
            "revision": self.revision,
            "seen_at": self.seen_at,
            "code": self.code,
            "message": self.message,
        }
