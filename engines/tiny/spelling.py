# ruff: noqa: PLR2004, SIM905 - the numbers are chances, and a split text is easier to edit than a list of words
"""How people really type: case, typos, politeness, missing question marks. And words that mean nothing."""

from __future__ import annotations

from random import Random
from typing import Final

_BEFORE: Final = (
    "please ", "hey, ", "hi, ", "hello, ", "can you tell me ", "could you tell me: ", "quick question: ", "so, ",
    "ok, ", "tell me, ", "excuse me, ", "I want to know ", "question: ", "and ", "well, ", "sorry, ", "now ",
)  # fmt: skip
_AFTER: Final = (
    " please", ", please", " thanks", " in one sentence", " now", " again", ", thank you", " briefly", " exactly",
    " then", " in short",
)  # fmt: skip
_NEIGHBOURS: Final = "qwertyuiopasdfghjklzxcvbnm"
_ONSETS: Final = (
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "st",
    "br",
    "ch",
    "pl",
)
_VOWELS: Final = ("a", "e", "i", "o", "u", "ai", "ou", "ee")
_CODAS: Final = ("", "", "n", "r", "s", "t", "l", "m", "nd", "ck", "th")
WORDS: Final = tuple(
    (
        "apple bridge castle dinosaur elephant forest guitar hammer island jacket kitchen lemon mountain notebook "
        "orange piano queen river sugar train umbrella village window yellow zebra banana coffee doctor engineer "
        "football garden history insect jungle kangaroo lawyer music newspaper ocean pencil quarter rabbit school "
        "teacher uncle violin water bicycle chicken desert evening flower giraffe holiday ice juice knife lion money "
        "night onion potato rain summer tree university volcano winter year Paris London Rome Tokyo Cairo Einstein "
        "Mozart Shakespeare buy sell eat cook drive paint sing dance swim fly build clean grow break travel sleep "
        "think draw compare describe translate code python javascript class function loop bug math physics chemistry "
        "biology geography poetry cinema theatre "
    ).split()
)


def noisy(text: str, rng: Random) -> str:
    """One way a hurried person might type `text`."""
    if rng.random() < 0.25:
        text = rng.choice(_BEFORE) + text[:1].lower() + text[1:]
    if rng.random() < 0.4:
        text = text.rstrip("?.")
        if rng.random() < 0.25:
            text += rng.choice(_AFTER)
        text += rng.choice(("", "?", "", "?", "??", "!", "."))
    chance = rng.random()
    text = text.lower() if chance < 0.3 else text[:1].upper() + text[1:] if chance < 0.6 else text
    text = text.upper() if rng.random() < 0.02 else text
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2)) if len(text) > 7 else 0):  # a typo in "401" is 402
        text = _typo(text, rng)
    return rng.choice(("", "", "", "", "", " ", "\n")) + text + rng.choice(("", "", "", "", "", " ", "\n"))


def _typo(text: str, rng: Random) -> str:
    """Swap, lose, double or miss one letter; digits are left alone because they carry the meaning."""
    at = rng.randrange(len(text) - 1)
    if not text[at : at + 2].isalpha():
        return text
    left, a, b, right = text[:at], text[at], text[at + 1], text[at + 2 :]
    return left + rng.choice((b + a, a, a + a + b, rng.choice(_NEIGHBOURS) + b)) + right


def word(rng: Random) -> str:
    """A pronounceable word that nobody knows, so that it can only be copied, never remembered."""
    syllables = (
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice((1, 2, 2, 3)))
    )
    return "".join(syllables)


def babble(rng: Random, longest: int) -> str:
    """Sentence-like text of at most `longest` characters about nothing."""
    text = " ".join(rng.choice(WORDS) if rng.random() < 0.6 else word(rng) for _ in range(rng.randint(1, longest // 5)))
    return text[: rng.randint(3, longest)].strip()
