"""Which kind of picture a text in base64 is: Ollama's messages have the bytes alone. Pure."""

from __future__ import annotations

import re
from typing import Final

SIGNS: Final = {
    "image/png": "iVBORw0KGgo",
    "image/jpeg": "/9j/",
    "image/gif": "R0lGOD[dl]h",
    "image/webp": "UklGR[A-Za-z0-9+/]{6}XRUJQ",  # RIFF, four bytes of size, WEBP
}
"""Media type -> how its base64 begins, as a regular expression."""

_SIGNS: Final = tuple((kind, re.compile(sign, re.ASCII)) for kind, sign in SIGNS.items())


def media_type(data: str) -> str:
    """Of a picture that begins with one of the signs."""
    return next(kind for kind, sign in _SIGNS if sign.match(data))
