"""The seam of the readings. Nothing that an engine writes goes on as it came: known members are written anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from policies.exchange import Usage
from policies.json import Object


class Piece(NamedTuple):
    """What goes to the caller at once, and how many generated tokens are in it."""

    data: bytes
    tokens: int


class Reading(Protocol):
    """One answer. Raises EngineBroke for what no caller may take for an answer."""

    media_type: str
    """Of the engine's stream."""

    @property
    def done(self) -> bool:
        """Whether the engine has said its last word, and all that must come before it."""

    @property
    def finish(self) -> str:
        """Why it ended, in OpenAI's words; "" while it has not."""

    @property
    def tokens(self) -> int:
        """Generated tokens so far, as far as the pieces of text tell (edge/relay/meter.py)."""

    @property
    def running(self) -> int:
        """The same as far as the engine tells; a lower bound."""

    @property
    def usage(self) -> Usage:
        """What the engine has counted."""

    def pieces(self, block: bytes) -> Iterator[Piece]:
        """What `block` completes of a stream, up to the engine's last word."""
        ...

    def cut(self, written: int) -> bytes:
        """A well-formed end in place of the latest piece, which was not given to the caller, after `written` tokens."""
        ...

    def settle(self) -> bool:
        """Write the engine's own counts of a whole answer down, if it has counted all of it: whether it has."""
        ...

    def whole(self, document: Object) -> Object:
        """A complete answer."""
        ...
