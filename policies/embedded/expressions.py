"""Regular expressions that RE2 (OPA) and Rust's regex (this engine) read alike: a small grammar, all else is refused.

    literals          any character but \\ ^ $ . | ? * + ( ) [ ] { }, and \\ before punctuation; \\n \\r \\t
    . ^ $ |           ( ) (?: ) (?i) (?i: ) with the flags i, m, s
    [a-z.] [^a-z]     single characters, ranges, [:alpha:] and its like; \\ before ] [ ^ \\ and a - in the middle
    * + ? {n} {n,m}   one of them behind what it repeats, and a ? behind it; at most 1,000 times, all loops multiplied

Perl's and Unicode's classes, names of groups, boundaries of words are known to both, but not the same to both.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

_MOST: Final = 1_000
"""What RE2 repeats at most, one loop in another."""
_LARGEST: Final = 4_000
"""Characters of the text with all repetitions written out; far below what either engine refuses to compile."""
_DEEPEST: Final = 50
_FLAGS: Final = re.compile(r"\?(?:[ims]{0,3}:|[ims]{1,3}\))")
_FOLDS: Final = re.compile(r"\(\?[ms]*i")
_PLAIN: Final = re.compile(r"[^\\^$.|?*+()\[\]{}]|\\[nrt]|\\[!-/:;=?@\[-`{-~]|[.]")
_REPEATED: Final = re.compile(r"(?:[*+?]|\{(\d{1,4})(?:,(\d{0,4}))?\})\??")
_NAMES: Final = "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
_ONE: Final = r"(?:[^\\\[\]^&~-]|\\[nrt]|\\[!-/:;=?@\[-`{-~]|[&~](?![&~]))"
_END: Final = r"[^\\\[\]^&~-]"
_CLASS: Final = re.compile(rf"\[\^?-?(?:\[:(?:{_NAMES}):\]|{_END}-{_END}|{_ONE}(?!-[^\]]))+-?\]")


class UnlikeError(ValueError):
    """The expression is none that both engines read alike; the text shows where."""


def unlike(expression: str) -> str | None:
    """The place from which on `expression` is beyond the grammar, at most 20 characters of it; None if it is within."""
    reader = _Reader(expression)
    try:
        reader.whole()
    except UnlikeError as error:
        return str(error)
    return None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._folds = _FOLDS.search(text) is not None

    def whole(self) -> None:
        if self._folds and not self._text.isascii():
            raise UnlikeError("(?i) and what is not ASCII")  # the engines are of different editions of Unicode
        size, _ = self._branches(0)
        if self._at < len(self._text):
            self._refuse()
        if size > _LARGEST:
            raise UnlikeError(f"more than {_LARGEST} characters with all repetitions")

    def _branches(self, depth: int) -> tuple[int, int]:
        """(size, times that what is repeated most in it is repeated), up to a `)` or the end."""
        size, times = 1, 1
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._text[self._at] in "|^$":
                self._at += 1
                size += 1
                continue
            inner_size, inner_times = self._piece(depth)
            size, times = size + inner_size, max(times, inner_times)
        return size, times

    def _piece(self, depth: int) -> tuple[int, int]:
        size, times = self._atom(depth)
        found = _REPEATED.match(self._text, self._at)
        if found is None or size == 0:
            return size, times
        low, high = found.group(1), found.group(2)
        most = int(high or low or 1)
        if (high and int(high) < int(low)) or times * most > _MOST:
            self._refuse()
        self._at = found.end()
        return max(1, size * most), times * max(1, most)

    def _atom(self, depth: int) -> tuple[int, int]:
        if self._text[self._at] == "(":
            return self._group(depth)
        found = _CLASS.match(self._text, self._at) or _PLAIN.match(self._text, self._at)
        if found is None:
            self._refuse()
        self._ranges(found.group())
        self._at = found.end()
        return 1, 1

    def _group(self, depth: int) -> tuple[int, int]:
        start = self._at
        flags = _FLAGS.match(self._text, self._at + 1)
        if flags and any(flags.group().count(flag) > 1 for flag in "ims"):
            self._refuse()
        if (flags is None and self._text[start + 1 : start + 2] == "?") or depth == _DEEPEST:
            self._refuse()
        self._at = flags.end() if flags else start + 1
        if flags and flags.group().endswith(")"):
            return 0, 1  # flags, which nothing can repeat
        size, times = self._branches(depth + 1)
        if self._text[self._at : self._at + 1] != ")":
            self._at = start
            self._refuse()
        self._at += 1
        return size, times

    def _ranges(self, atom: str) -> None:
        for low, high in re.findall(r"([^\\])-([^\\\]])", atom[1:-1]) if atom.startswith("[") else ():
            if low > high:
                self._refuse()

    def _refuse(self) -> NoReturn:
        raise UnlikeError(self._text[self._at : self._at + 20] or "its end")
