"""Names of parameters: which spellings some decoder takes for a known one, and how unknown ones are shown.

Go's decoder (Ollama, Docker Model Runner) matches keys by simple case folding: `MODEL`, `max_to\\u212Aens` (Kelvin
sign) and `\\u017Ftream` (long s) set model, max_tokens and stream (facts/security.md F2, measured). C code stops at
NUL, others trim or normalise. We re-serialise known keys only, so such a key could not reach an engine anyway; it is
refused because nobody sends one by accident, and dropping it would do something else than the caller meant.

Not folded: `_` against `-` and camelCase (`max-tokens`, `maxTokens`). No decoder in front of us equates them; they are
other tools' names, so they are unknown names: dropped and named. The same goes for look-alikes of other scripts.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_FOLDED: Final = 128
_NOISE: Final = dict.fromkeys([*range(33), 127])
_IGNORABLE: Final = frozenset("MCZ")  # marks, controls and invisible formats, separators
_SHOWN: Final = re.compile(r"[A-Za-z0-9_.\[\]-]{1,40}", re.ASCII)


def fold(name: str) -> str:
    """The spelling that all confusable spellings of an ASCII name share; "" for names too long to be one.

    Upper before lower case, since dotless i has no case folding but its capital is `I`. The length bound also keeps
    `unicodedata` from sorting long runs of combining marks, which takes quadratic time.
    """
    if len(name) > MAX_FOLDED:
        return ""
    if name.isascii():
        return name.translate(_NOISE).lower()
    wide = unicodedata.normalize("NFKD", name)
    return "".join(c for c in wide if unicodedata.category(c)[0] not in _IGNORABLE).upper().casefold()


def shown(name: str) -> str:
    """`name` if it is harmless in a header and in a log, else `?`."""
    return name if _SHOWN.fullmatch(name) else "?"
