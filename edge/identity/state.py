"""The state folder: where it is, and that it is ours, private and usable."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "LLM_GATEWAY_HOME"
_log = logging.getLogger(__name__)


class StateError(Exception):
    """The gateway's own state cannot be used. One line: what is wrong, then what to do about it."""

    def __init__(self, problem: str, step: str) -> None:
        super().__init__(f"{problem}: {step}")


def state_home(environ: Mapping[str, str], *, platform: str = sys.platform, user_home: Path | None = None) -> Path:
    """Where state lives: `$LLM_GATEWAY_HOME`, else the platform's data folder. Pure but for `~`."""
    if chosen := environ.get(HOME_VARIABLE):
        return Path(chosen).expanduser().absolute()
    home = user_home or Path("~").expanduser()
    if platform == "darwin":
        return home / "Library" / "Application Support" / "llm-gateway"
    # XDG base directory specification: a relative path is invalid and must be ignored.
    data = environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else home / ".local" / "share") / "llm-gateway"


def open_home(path: Path) -> Path:
    """Make sure `path` is a private (0700) folder that can be read and written; returns it.

    Raises StateError. A folder of ours that others can read is tightened; one of somebody else's (a mounted volume) is
    taken as it is unless everybody may write to it, since its files are made 0600 anyway.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except FileExistsError:
        raise StateError(f"{path} is not a folder", f"move it away, or point {HOME_VARIABLE} elsewhere") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(
            f"cannot make the state folder {path} ({reason})", f"point {HOME_VARIABLE} to a folder you own"
        ) from None
    _tighten(path, status)
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StateError(
            f"the state folder {path} is not readable and writable for this user",
            f"chown it, or point {HOME_VARIABLE} to a folder you own",
        )
    return path


def _tighten(path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return
    if path in (Path(path.anchor), Path("~").expanduser()):  # tightening these would hurt other programs
        raise StateError(f"{path} cannot be the state folder", f"point {HOME_VARIABLE} to a folder of its own")
    if status.st_uid == os.geteuid():
        path.chmod(0o700)
    elif mode & stat.S_IWOTH:
        raise StateError(f"everybody may write to the state folder {path}", f"run: chmod 700 '{path}'")
    else:
        _log.warning("the state folder %s belongs to another user and is readable by more than that user", path)
