"""Text that somebody else wrote, made fit to be shown."""

from __future__ import annotations


def one_line(text: str, most: int) -> str:
    """`text` without control, format and bidirectional characters (a space each), at most `most` characters."""
    return "".join(c if c.isprintable() else " " for c in text[:most]).strip()
