"""Where a program sits while a test watches it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import psutil

from tests.agents.tripwire import Tripwire
from tests.system.process import Gateway, Key, Lines, until

PATIENCE: Final = 90.0
"""Seconds for a program to do what it was asked, on a busy machine: opencode alone takes six seconds of processor."""
NOTE: Final = "note.txt"
WORD: Final = "pelican"
"""What stands in the note, and nowhere else: an engine that is sent it was sent the result of a tool."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A home of its own, a folder with a note in it, a key of the gateway and the model to ask."""

    folder: Path
    gateway: Gateway
    key: Key
    model: str
    tripwire: Tripwire

    @classmethod
    def at(cls, folder: Path, gateway: Gateway, key: Key, model: str, tripwire: Tripwire) -> Self:
        seat = cls(folder, gateway, key, model, tripwire)
        for made in (seat.home, seat.work):
            made.mkdir(parents=True)
        seat.note.write_text(f"the word is {WORD}\n")
        return seat

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def note(self) -> Path:
        return self.work / NOTE

    @property
    def base(self) -> str:
        return "http://{}:{}".format(*self.gateway.address)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the developer's own: neither keys nor settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local" / "share"),
            "XDG_STATE_HOME": str(self.home / ".local" / "state"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "TERM": "dumb",
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
            **self.tripwire.environment,
        }


class Running:
    """A program at work; `with` it, so that it and what it started are gone afterwards."""

    def __init__(self, seat: Seat, argv: tuple[str, ...], environment: Mapping[str, str]) -> None:
        # A shell's `&` has its children ignore SIGINT, and theirs too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._process = subprocess.Popen(
            argv,
            cwd=seat.work,
            env={**seat.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._out = Lines(self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Its family first, while it is there to be asked who they are; then whoever is left of its group."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._out.close()

    @property
    def shown(self) -> str:
        """What it has written so far, its complaints too."""
        return self._out.text

    def shows(self, wanted: str) -> None:
        """Wait until it shows `wanted`."""
        assert self._out.find(lambda line: wanted in line, PATIENCE), f"not shown: {wanted!r}, but:\n{self.shown}"

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        """Wait for its end, and for all that it showed; the exit code."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"still running, shown so far:\n{self.shown}") from late
        self._out.end()
        return code

    def meanwhile(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something elsewhere."""
        until(condition, PATIENCE, f"{what}; the program shows:\n{self.shown}")
