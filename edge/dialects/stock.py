"""The seam of the dialects that have models fetched and deleted."""

from __future__ import annotations

import re
from typing import Final, Protocol

from engines.contract import Pulled
from engines.pulling import Tally

_DIGEST: Final = re.compile(r"[a-z0-9]{2,16}:[0-9a-f]{12,128}", re.ASCII)


class StockRendering(Protocol):
    """What is said in the caller's dialect; of an engine's own words only digests and numbers go on."""

    content_type: str
    """Of the progress."""

    def progress(self, pulled: Pulled, tally: Tally) -> bytes:
        """The lines for one line of the engine's, which `tally` has counted; b"" if it says nothing."""
        ...

    def pulled(self) -> bytes:
        """The end of what was fetched, as a line; it is also the whole answer of who wants no progress."""
        ...

    def deleted(self, name: str) -> bytes:
        """The whole answer to who had the model deleted that it calls `name`."""
        ...


def is_digest(layer: str) -> bool:
    """Whether an engine's name for a layer is one to hand on."""
    return _DIGEST.fullmatch(layer) is not None
