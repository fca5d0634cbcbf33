"""Generated tokens, counted as they pass: what a request may still generate, and when to stop it.

The count is of pieces, since engines report usage only at the end, if at all: one piece is a token unless it is too
long for one (engines that draft several tokens at once write them in one piece). What the engine reports in the end is
what is charged.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Final

STEP: Final = 64
"""Tokens asked for at once when those held are used up: a question to the store for every 64, not for each."""
CHECKPOINT: Final = 0.5
"""Seconds between two checkpoints in the ledger: with the time to write one, at most a second of tokens is at risk."""
_LONGEST_TOKEN: Final = 32  # characters; longer ones exist (runs of spaces), and are rare
_CHARS_PER_TOKEN: Final = 4
_BYTES_PER_TOKEN: Final = 6  # of text that is not ASCII: two Chinese characters, three Cyrillic letters


def tokens_of(text: str) -> int:
    """Tokens in one piece of generated text; 0 only of no text."""
    if text.isascii():
        return _tokens_of_ascii(len(text))
    size = len(text.encode(errors="surrogatepass"))
    plain = len(text.encode("ascii", errors="ignore"))
    # A letter that is not ASCII makes no further token of a word that is one.
    long = _tokens_of_ascii(plain) if plain > _LONGEST_TOKEN else 0
    return long + math.ceil((size - plain) / _BYTES_PER_TOKEN)


def _tokens_of_ascii(size: int) -> int:
    return min(size, 1) if size <= _LONGEST_TOKEN else math.ceil(size / _CHARS_PER_TOKEN)


class Meter:
    """What one answer may generate. `granted` None: it is only counted."""

    __slots__ = ("_checkpoint", "_clock", "_more", "_next", "granted", "input", "used")

    def __init__(
        self,
        granted: int | None,
        more: Callable[[int], Awaitable[int]],
        checkpoint: Callable[[int, int], None],
        clock: Callable[[], float],
        *,
        prompt: int = 0,
    ) -> None:
        """`prompt`: the input's tokens as far as they are known. `more(n)` asks for `n` further ones and gives how many
        there are; `checkpoint(input, used)` writes the counts down."""
        # Told both: if it asked the meter, the two would hold each other, and with them the request and its body, until
        # the garbage collector comes.
        self.granted = granted
        self.input = prompt
        self.used = 0
        self._more = more
        self._checkpoint = checkpoint
        self._clock = clock
        self._next = clock() + CHECKPOINT

    @property
    def limited(self) -> bool:
        """Whether the answer can be stopped by a limit."""
        return self.granted is not None

    async def admit(self, tokens: int) -> bool:
        """Count a piece that is about to be relayed; False: it must not be, the answer ends here."""
        after = self.used + tokens
        if self.granted is not None and after > self.granted:
            self.granted += await self._more(max(STEP, after - self.granted))
            if after > self.granted:
                return False
        self.used = after
        return True

    def mark(self) -> None:
        """Write the count down if it is time to."""
        now = self._clock()
        if now >= self._next:
            self._next = now + CHECKPOINT
            self._checkpoint(self.input, self.used)
