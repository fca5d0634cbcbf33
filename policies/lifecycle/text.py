"""Text for people. Names and models come from callers: a terminal must not obey what is in them."""

from __future__ import annotations

from typing import Final

from policies.json import JSON

_MOST: Final = 200


def clean(text: str, most: int = _MOST) -> str:
    """`text` on one line, printable, at most `most` characters; everything else as its escape."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def words(value: JSON) -> str:
    """A JSON value as people write it: lists with commas, strings without quotes, nothing as `-`."""
    if value is None or value in ("", [], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return clean(value)
        case list():
            return clean(", ".join(words(item) for item in value))
        case dict():
            return clean(", ".join(f"{key}={words(item)}" for key, item in value.items()))
        case _:
            return str(value)
