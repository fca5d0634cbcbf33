"""PolicySource: the policy in force. A folder in the configuration, else what was applied last, else the default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from edge.policy.configured import effective
from edge.policy.errors import PolicyToolError
from edge.policy.folder import Fingerprint, fingerprint, read_folder
from edge.policy.store import PolicyStore
from edge.policy.store_types import StoredShadow
from policies.bundle import Bundle
from policies.json import Object

Version: TypeAlias = "tuple[int, Fingerprint]"
_TRIES: Final = 3


_T = TypeVar("_T")


class Origin(StrEnum):
    """Where the policy in force comes from."""

    FOLDER = "folder"
    APPLIED = "applied"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ShadowPlan:
    """The candidate that is to run beside the live policy: as stored, and with the data that the configuration adds."""

    stored: StoredShadow
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class InForce:
    """`own` is the policy as written; `bundle` is what runs: `own` with the data that the configuration adds.

    Decisions carry `bundle.revision`.
    """

    origin: Origin
    own: Bundle
    bundle: Bundle
    shadow: ShadowPlan | None


class PolicySource:
    """Reads it. Synchronous: the watcher asks in a thread."""

    def __init__(
        self, store: PolicyStore, default: Bundle, *, configured: Object | None = None, folder: Path | None = None
    ) -> None:
        self.store = store
        self.default = default
        self.configured: Object = configured or {}
        self.folder = folder

    def version(self) -> Version:
        """Changes whenever `load` may give something else; one row and one `stat` per file, no content.

        Raises StateError, PolicyToolError.
        """
        return self.store.version(), _of_dir(fingerprint, self.folder) if self.folder is not None else ()

    def load(self) -> tuple[Version, InForce]:
        """The policy in force, and the version that it is. Raises StateError, PolicyToolError.

        The version is taken first: a write in between means one load too many, never a change that is missed.
        """
        for _ in range(_TRIES):
            version = self.version()
            origin, own = self._own()
            # Half of one set of files and half of another is a policy that nobody wrote.
            if self.folder is None or self.version()[1] == version[1]:
                return version, InForce(origin, own, self.with_data(own), self._shadow())
        raise PolicyToolError(f"{self.folder} changes all the time", "write the files beside it, then move them in")

    def with_data(self, own: Bundle) -> Bundle:
        """What `own` would be if it ran here."""
        return effective(own, self.configured)

    def _own(self) -> tuple[Origin, Bundle]:
        if self.folder is not None:
            return Origin.FOLDER, _of_dir(read_folder, self.folder)
        stored = self.store.active()
        return (Origin.DEFAULT, self.default) if stored is None else (Origin.APPLIED, stored.bundle)

    def _shadow(self) -> ShadowPlan | None:
        stored = self.store.shadow()
        return None if stored is None else ShadowPlan(stored, self.with_data(stored.bundle))


def _of_dir(read: Callable[[Path], _T], folder: Path) -> _T:
    """What `read` gives for the folder that the configuration names; its errors say where that is named."""
    try:
        return read(folder)
    except PolicyToolError as error:
        raise PolicyToolError(f"policy.dir: {error.problem}", error.step, usage=error.usage) from None
