"""The seam of the dialects.

The one internal form of a request is a checked chat body (`policies.call.Call`), that of an answer is OpenAI's:
`chat.completion`, and its chunks as `edge.relay.chunks` tidied them. A dialect turns its own request into the former,
and a `Rendering` turns the latter into its own answer. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from policies.call import Aim, Operation
from policies.json import Object


@dataclass(frozen=True, slots=True)
class Translated:
    """A body of the internal form, what is to be done with it, and which names of the request went nowhere."""

    operation: Operation
    body: Object
    aim: Aim = Aim.ANSWER
    ignored: tuple[str, ...] = ()


class Rendering(Protocol):
    """One answer in the caller's dialect; whoever speaks OpenAI's gets it as it is."""

    content_type: str
    """Of a stream."""
    comments: bool
    """Whether a stream may hold comments, which every client passes over."""
    paced: bool
    """Whether a complete answer tells how long each part of it took, so that it has to be seen as it comes."""

    def begin(self, prompt: int) -> bytes:
        """What stands before the first event of a stream; `prompt`: the input's tokens, as far as they are known."""
        ...

    def chunk(self, chunk: Object) -> bytes:
        """The events for one chunk. EngineBroke if it cannot be said in this dialect."""
        ...

    def end(self, final: Object) -> bytes:
        """The end of a whole stream; `final` is OpenAI's last chunk, with `usage` and without choices."""
        ...

    def whole(self, answer: Object) -> Object:
        """A complete answer."""
        ...
