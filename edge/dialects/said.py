"""What a chat answer says, for dialects that say it in another way: of a message, or of a delta. Pure."""

from __future__ import annotations

import orjson

from policies.errors import EngineBroke
from policies.json import JSON, Object, as_str


def thought(said: Object) -> str:
    """Reasoning, under whichever of its two names."""
    return as_str(said.get("reasoning")) or as_str(said.get("reasoning_content"))


def text(said: Object) -> str:
    """Words for the caller; a refusal is some."""
    return as_str(said.get("content")) + as_str(said.get("refusal"))


def arguments(written: str, finish: str) -> Object:
    """The arguments of a call as an object.

    EngineBroke unless they are one; what ends at the limit of tokens (`finish` is `length`) ends anywhere, and has
    none.
    """
    try:
        given: JSON = orjson.loads(written or "{}")
    except orjson.JSONDecodeError:
        given = None
    if isinstance(given, dict):
        return given
    if finish == "length":
        return {}
    raise EngineBroke("arguments that are no JSON object")
