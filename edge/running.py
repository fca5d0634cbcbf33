"""A note in the state folder of where the gateway runs, for commands beside it that are called from anywhere.

It says where its configuration is and where its admin listener is, and holds no secret. It stays after the end: what
belongs to the state folder (the keys of a Compose stack, say) can be dealt with while no gateway runs.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.problems import Wrong
from edge.config.values import Bind
from policies.json import JSON, as_object, as_str

_NAME: Final = "running.json"
_MOST: Final = 8192


@dataclass(frozen=True, slots=True)
class Running:
    """The last gateway of a state folder: its configuration (None = defaults) and its admin listener."""

    config: Path | None
    admin: Bind


def note(home: Path, running: Running) -> None:
    """Write it down, whole or not at all. OSError."""
    config = None if running.config is None else str(running.config.absolute())
    draft = home / f".{_NAME}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"config": config, "admin": str(running.admin)}, file)
        draft.replace(home / _NAME)
    finally:
        draft.unlink(missing_ok=True)


def noted(home: Path) -> Running | None:
    """What was written down; None if nothing, or nothing that can be read."""
    with suppress(OSError, ValueError, Wrong):
        with (home / _NAME).open("rb") as file:
            document: JSON = json.loads(file.read(_MOST))
        found = as_object(document)
        config = as_str(found.get("config"))
        return Running(Path(config) if config else None, Bind.parse(as_str(found.get("admin"))))
    return None
