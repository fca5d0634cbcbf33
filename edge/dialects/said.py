"""What a chat answer says, whole or in pieces, for dialects that say it in another way. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from edge.intake.openai_messages import CALLED_NAME, IDENTIFIER
from policies.errors import EngineBroke
from policies.json import JSON, Object, as_count, as_list, as_object, as_str

MOST: Final = 16 << 20
"""Characters that are held of one answer until its end, or of one call until it is whole."""
PER_CALL: Final = 512
"""Characters that a call, or another item of an answer, takes the memory of, about."""


class Room:
    """What may still be held back: engines are not trusted to come to an end."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST

    def take(self, characters: int) -> None:
        """EngineBroke if there is not so much left."""
        self._left -= characters
        if self._left < 0:
            raise EngineBroke("the answer is too large")


class Usage(NamedTuple):
    """Tokens: of the prompt, of these those that the engine had kept from another, and of the answer."""

    read: int
    cached: int
    written: int


def usage(answer: Object) -> Usage:
    """What an answer, or the last chunk of one, says that it took; 0 where it says nothing."""
    told = as_object(answer.get("usage"))
    read = as_count(told.get("prompt_tokens")) or 0
    cached = as_count(as_object(told.get("prompt_tokens_details")).get("cached_tokens")) or 0
    return Usage(read, min(cached, read), as_count(told.get("completion_tokens")) or 0)


def choice(answer: Object) -> Object:
    """The only choice of a whole answer: what these dialects ask for has no others."""
    return as_object(next(iter(as_list(answer.get("choices"))), None))


def thought(said: Object) -> str:
    """Reasoning, under whichever of its two names (`edge.relay.chunks.normalise_reasoning` gives it both)."""
    return as_str(said.get("reasoning")) or as_str(said.get("reasoning_content"))


def text(said: Object) -> str:
    """Words for the caller; a refusal is some."""
    return as_str(said.get("content")) + as_str(said.get("refusal"))


def new_call(call: Object) -> str:
    """The name of the function whose call begins with this piece.

    EngineBroke if it has none: it is of a call that another has followed, and what was said of that is out already, or
    of one that never was introduced. Also if it is no name at all.
    """
    name = as_str(as_object(call.get("function")).get("name"))
    if not name:
        raise EngineBroke("pieces of several calls in turns")
    return called(name)


def called(name: str) -> str:
    """`name`; EngineBroke if it is none that a caller could send back."""
    if not CALLED_NAME.fits(name):
        raise EngineBroke("a call of what is no name")
    return name


def identity(call: Object) -> str:
    """What the engine calls the call, "" if it says nothing that a caller could send back."""
    said = call.get("id")
    return as_str(said) if IDENTIFIER.fits(said) else ""


def arguments(written: str, finish: str) -> Object:
    """The arguments of a call as an object.

    EngineBroke unless they are one; what ends at the limit of tokens (`finish` is `length`) ends anywhere, and has
    none.
    """
    given = written_object(written or "{}")
    if given is not None:
        return given
    if finish == "length":
        return {}
    raise EngineBroke("arguments that are no JSON object")


def written_object(written: str) -> Object | None:
    """The JSON object that was written, None if it is none, or not all of one."""
    try:
        given: JSON = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return given if isinstance(given, dict) else None
