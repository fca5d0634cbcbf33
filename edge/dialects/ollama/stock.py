"""What Ollama says while it fetches a model, and when it has deleted one. Pure.

Source: facts/engines.md 1.3 and 3.1, ollama 0.32 `server/images.go`. Steps that only an Ollama takes ("verifying sha256
digest", "writing manifest") are not made up for other engines, nor handed on.
"""

from __future__ import annotations

from typing import Final

import orjson

from edge.dialects.ollama.answer import NDJSON_TYPE
from edge.dialects.stock import is_digest
from engines.contract import Pulled
from engines.pulling import Tally
from policies.json import Object

_SHOWN: Final = 12


class OllamaStock:
    """Implements `edge.dialects.stock.StockRendering`."""

    content_type = NDJSON_TYPE

    def __init__(self) -> None:
        self._begun = False

    def progress(self, pulled: Pulled, tally: Tally) -> bytes:  # noqa: ARG002 - the seam's
        """A line for each piece of a layer; the first one comes after Ollama's own first one."""
        if not is_digest(pulled.layer):
            return b""
        first = b"" if self._begun else _line({"status": "pulling manifest"})
        self._begun = True
        short = pulled.layer.partition(":")[2][:_SHOWN]
        layer: Object = {"digest": pulled.layer, "total": pulled.size, "completed": pulled.came}
        return first + _line({"status": f"pulling {short}", **layer})

    def pulled(self) -> bytes:
        """The last line."""
        return _line({"status": "success"})

    def deleted(self, name: str) -> bytes:  # noqa: ARG002 - the seam's
        """Nothing: the status is all that Ollama says."""
        return b""


def _line(document: Object) -> bytes:
    return orjson.dumps(document) + b"\n"
