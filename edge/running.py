"""A note in the state folder of where the gateway runs, for commands beside it that are called from anywhere.

It says where its configuration is and where its admin listener is, and holds no secret. It stays after the end: what
belongs to the state folder (the keys of a Compose stack, say) can be dealt with while no gateway runs. Whether one
does, a lock on the note tells (flock(2)), which ends with the process however that ends: on the port of a gateway that
is away anybody of this machine may listen, and wait for an admin's key.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from edge.config.problems import Wrong
from edge.config.values import Bind
from policies.json import JSON, as_object, as_str

_NAME: Final = "running.json"
_MOST: Final = 8192


@dataclass(frozen=True, slots=True)
class Running:
    """The last gateway of a state folder: its configuration (None = defaults), its admin listener, whether it runs."""

    config: Path | None
    admin: Bind
    alive: bool = True


def note(home: Path, running: Running) -> IO[str]:
    """Write it down, whole or not at all; it is alive until what is returned is closed. OSError."""
    config = None if running.config is None else str(running.config.absolute())
    draft = home / f".{_NAME}.{os.getpid()}"
    file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        json.dump({"config": config, "admin": str(running.admin)}, file)
        file.flush()
        draft.replace(home / _NAME)
    except BaseException:
        file.close()
        raise
    finally:
        draft.unlink(missing_ok=True)
    return file


def noted(home: Path) -> Running | None:
    """What was written down; None if nothing, or nothing that can be read."""
    with suppress(OSError, ValueError, Wrong), (home / _NAME).open("rb") as file:
        document: JSON = json.loads(file.read(_MOST))
        found = as_object(document)
        config = as_str(found.get("config"))
        return Running(Path(config) if config else None, Bind.parse(as_str(found.get("admin"))), _held(file))
    return None


def _held(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
