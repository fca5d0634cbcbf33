"""What all of them say, and how they report it. Imports nothing but the standard library: it runs beside any SDK."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Final, Protocol

from policies.json import JSON, Object

BASE: Final = os.environ.get("BASE_URL", "")
KEY: Final = os.environ.get("API_KEY", "")
NARROW_KEY: Final = os.environ.get("NARROW_KEY", "")
MODEL: Final = os.environ.get("MODEL", "")
SCRIPTED: Final = os.environ.get("SCRIPTED") == "1"
"""Whether the engine knows these sentences by heart; a real one is asked neither to break nor to say nothing."""

WEATHER: Final = "what is the weather in Paris?"
RESULT: Final = "18 C and sunny"
BREAK: Final = "break off"
STAY: Final = "say no more" if SCRIPTED else "Hello"
AFTER: Final = "after all" if SCRIPTED else "Hello"
TOOL: Final = "get_weather"
PARAMETERS: Final[dict[str, object]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
MAX_TOKENS: Final = 300
TIMEOUT: Final = 90.0


class Talker(Protocol):
    """One SDK."""

    def version(self) -> str: ...

    def conversation(self) -> Object:
        """Ask with a tool, run it, send its result: `call` (name and input), `text`, `pieces` (of the text)."""

    def refused(self) -> None:
        """Ask with the key that may not."""

    def broken(self) -> None:
        """Ask for a stream that breaks, and read it."""

    def left(self) -> None:
        """Ask for a stream, read its first text, and leave."""

    def after(self) -> str:
        """Ask something else on the same client."""


def told(talker: Talker) -> None:
    """Run all of it; the report is one line of JSON."""
    report: Object = {"version": talker.version(), **talker.conversation(), "refused": _raised(talker.refused)}
    if SCRIPTED:
        report["broken"] = _raised(talker.broken)
    talker.left()
    json.dump({**report, "after": talker.after()}, sys.stdout)


def _raised(attempt: Callable[[], None]) -> JSON:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - the report says what the SDK raised
        status: JSON = getattr(error, "status_code", None)
        return {"class": type(error).__name__, "status": status, "text": str(error)}
    return None
