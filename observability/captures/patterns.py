"""What is taken out of captured text: keys and tokens of known shapes, and what the operator's own patterns fit.

Python's `re` holds the interpreter while it searches, and a pattern that backtracks can do so for hours: in a thread it
would stop the whole gateway. So a pattern must say how much it repeats. Then the ways it can fit at one place, and its
longest match, are numbers, and their product bounds the work; the text is searched in windows, so that one call is
short, and a capture that still takes too long is withheld.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from policies.lifecycle.text import clean

MASK: Final = "[redacted]"
MOST_WAYS: Final = 512
LONGEST: Final = 8192
MOST_WORK: Final = 1 << 16
_STEPS: Final = 1 << 22
"""Steps of one search, at most: ten milliseconds."""
_PATIENCE: Final = 1.0
"""Seconds of the processor for the text of one capture. The worst for the built-in patterns takes a tenth of it."""
_DEEPEST: Final = 20
_FEW: Final = 40
_MANY: Final = 1 << _FEW
_LITERAL: Final = re.compile(r"[^\\^$.|?*+()\[\]{}]|\\[nrtdswDSW]|\\[!-/:;=?@\[-`{-~]|[.]")
_BOUNDARY: Final = re.compile(r"\\b")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\\\[\]]|\\[nrtdswDSW]|\\[!-/:;=?@\[-`{-~])*\]")
_TIMES: Final = re.compile(r"(?:(\?)|\{(\d{1,4})(,(\d{1,4}))?\})([?+])?")

BUILT_IN: Final = (
    r"(?i:lgw)_[0-9A-Za-z_-]{4,128}+",  # our own keys (edge/identity/token.py), whole or not
    r"\b(?:sk|pk|rk)[_-][0-9A-Za-z_-]{8,512}+",  # OpenAI, Anthropic, Stripe
    r"\bgh[opsur]_[0-9A-Za-z]{8,255}+",
    r"\bgithub_pat_[0-9A-Za-z_]{8,255}+",
    r"\bglpat-[0-9A-Za-z_-]{8,255}+",
    r"\bhf_[0-9A-Za-z]{8,255}+",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{8,32}+",
    r"\bAIza[0-9A-Za-z_-]{8,64}+",
    r"\bxox[abeoprs]-[0-9A-Za-z-]{8,255}+",
    r"\beyJ[0-9A-Za-z_=.-]{8,8000}+",  # JSON Web Tokens, signed or not
    r"(?i:bearer|basic)[ \t]{1,8}+[0-9A-Za-z._~+/=-]{6,8000}+",
    r"PRIVATE KEY(?: BLOCK)?-----[0-9A-Za-z+/=:,.\s\\-]{0,8000}+",  # where JSON is quoted, ends of lines are `\n`
    (
        r"(?i:passwor[dt]|api[_-]?key|(?:secret|access)[_-]?(?:key|token))"
        r"['\"\\ ]{0,4}+[:=]['\"\\ ]{0,4}+[^'\"\s,;&]{4,512}+"
    ),
    r"://[^/\s:@]{1,64}+:[^/\s@]{1,128}+@",
)
EMAIL: Final = r"[0-9A-Za-z._%+-]{1,64}+@[0-9A-Za-z-]{1,63}+\.[0-9A-Za-z.-]{2,190}+"


class PatternError(ValueError):
    """A pattern whose work cannot be bounded, or that is none; the text says what to write instead."""


class TooSlowError(Exception):
    """The text takes too long; none of it may be written down."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`ways` to fit at one place, at most, and characters of the `longest` and the `shortest` match."""

    ways: int
    longest: int
    shortest: int


def cost(pattern: str) -> Cost:
    """What `pattern` may cost. PatternError if that is too much, or it is no pattern of the grammar."""
    reader = _Reader(pattern)
    found = reader.whole()
    if found.ways > MOST_WAYS or found.longest > LONGEST or found.ways * found.longest > MOST_WORK:
        raise PatternError(
            f"{_shown(pattern)} can fit in too many ways: repeat less, or write {{m,n}}+, which gives nothing back"
        )
    if found.shortest == 0:
        raise PatternError(f"{_shown(pattern)} fits nothing at all, too: something in it must be there")
    try:
        _ = re.compile(pattern)
    except re.error:
        raise PatternError(f"{_shown(pattern)} is no regular expression") from None
    return found


class Redactor:
    """Takes secrets out of text. `clock` gives seconds of the processor; only one thread may use it at a time."""

    def __init__(self, patterns: Sequence[str], clock: Callable[[], float], *, emails: bool = True) -> None:
        """PatternError for a pattern of the operator's that cannot be used."""
        every = (*BUILT_IN, *((EMAIL,) if emails else ()), *patterns)
        self._patterns = [(re.compile(pattern), cost(pattern)) for pattern in every]
        self._clock = clock
        self._until = 0.0

    def begin(self) -> None:
        """A new capture, with its own time."""
        self._until = self._clock() + _PATIENCE

    def __call__(self, text: str) -> str:
        """`text` with `[redacted]` for what fits. TooSlowError when the capture's time is over."""
        for pattern, bound in self._patterns:
            text = self._without(text, pattern, bound)
        return text

    def _without(self, text: str, pattern: re.Pattern[str], bound: Cost) -> str:
        window = max(64, _STEPS // (bound.ways * bound.longest))
        parts: list[str] = []
        kept = at = 0
        while at < len(text):
            if self._clock() > self._until:
                raise TooSlowError
            end = at + window
            # A match that begins in this window has room for its whole length.
            match = pattern.search(text, at, end + bound.longest)
            if match is None or match.start() >= end:
                at = end
                continue
            parts += (text[kept : match.start()], MASK)
            kept = at = match.end()
        return "".join((*parts, text[kept:])) if parts else text


class _Reader:
    """Reads a small grammar that is Python's, too: what it accepts means the same there."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def whole(self) -> Cost:
        found = self._branches(0)
        if self._at < len(self._text):
            self._refuse()
        return found

    def _branches(self, depth: int) -> Cost:
        """Up to a `)` or the end."""
        branches = [self._sequence(depth)]
        while self._is("|"):
            self._at += 1
            branches.append(self._sequence(depth))
        return Cost(
            sum(branch.ways for branch in branches),
            max(branch.longest for branch in branches),
            min(branch.shortest for branch in branches),
        )

    def _sequence(self, depth: int) -> Cost:
        ways, longest, shortest = 1, 0, 0
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            piece = self._piece(depth)
            ways = min(ways * piece.ways, _MANY)
            longest, shortest = longest + piece.longest, shortest + piece.shortest
        return Cost(ways, longest, shortest)

    def _piece(self, depth: int) -> Cost:
        if found := _BOUNDARY.match(self._text, self._at):
            self._at = found.end()
            return Cost(1, 0, 0)
        atom = self._atom(depth)
        times = _TIMES.match(self._text, self._at)
        if times is None:
            return atom
        optional, low, ranged, high, manner = times.groups()
        least, most = (0, 1) if optional else (int(low), int(high if ranged else low))
        if least > most:
            self._refuse()
        self._at = times.end()
        # Possessive: once it has taken what it can there is no second way; inside it there are those of its parts.
        ways = 1 if manner == "+" and atom.ways == 1 else _ways(atom.ways, least, most)
        return Cost(ways, atom.longest * most, atom.shortest * least)

    def _atom(self, depth: int) -> Cost:
        if self._is("("):
            return self._group(depth)
        found = _CLASS.match(self._text, self._at) or _LITERAL.match(self._text, self._at)
        if found is None:
            self._refuse()
        self._at = found.end()
        return Cost(1, 1, 1)

    def _group(self, depth: int) -> Cost:
        start = self._at
        head = next((h for h in ("(?:", "(?i:", "(") if self._text.startswith(h, start)), "(")
        self._at += len(head)
        if depth == _DEEPEST or self._is("?"):
            self._refuse()
        found = self._branches(depth + 1)
        if not self._is(")"):
            self._at = start
            self._refuse()
        self._at += 1
        return found

    def _is(self, character: str) -> bool:
        return self._text.startswith(character, self._at)

    def _refuse(self) -> NoReturn:
        rest = self._text[self._at : self._at + 1]
        if rest and rest in "*+{":
            raise PatternError(f"{_shown(self._text)} must say how often: {{1,64}} in place of + or *")
        if rest and rest in "^$":
            raise PatternError(f"{_shown(self._text)} is sought anywhere in a text: leave out ^ and $")
        raise PatternError(f"{_shown(self._text)} cannot be used from character {self._at + 1} on")


def _ways(ways: int, least: int, most: int) -> int:
    """Ways of `least` to `most` times what has so many `ways` itself."""
    if ways == 1:
        return most - least + 1
    return _MANY if most > _FEW else min(_MANY, sum(ways**times for times in range(least, most + 1)))


def _shown(pattern: str) -> str:
    return f"`{clean(pattern, 60)}`"
