"""What is said to Compose: one JSON object per line on standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from policies.lifecycle.text import clean

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Messages:
    """`write` takes a line with its end, and sends it at once."""

    write: Callable[[str], object]

    def info(self, text: str) -> None:
        """Shown as the state of the service."""
        self._say("info", clean(text, _LONGEST))

    def error(self, text: str) -> None:
        """Why it fails: Compose stops reading here, and the whole `up` or `down` ends with this text."""
        self._say("error", clean(text, _LONGEST))

    def set(self, name: str, value: str) -> None:
        """A variable of the services that depend on this one; Compose puts the service's name in front."""
        self._say("setenv", f"{name}={value}")

    def set_as_it_is(self, name: str, value: str) -> None:
        """The same without the service's name; Compose knows this since 5.2."""
        self._say("rawsetenv", f"{name}={value}")

    def _say(self, kind: str, message: str) -> None:
        self.write(json.dumps({"type": kind, "message": message}) + "\n")
