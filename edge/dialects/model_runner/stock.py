"""What Docker Model Runner says while it fetches a model, and when it has deleted one. Pure.

Source: facts/engines.md 1.3, `pkg/distribution/oci/progress.go`. Always lines of JSON: Model Runner itself escapes them
as HTML for whoever does not accept exactly `application/json`, and no client is known to need that.
"""

from __future__ import annotations

from typing import Final

import orjson

from edge.dialects.stock import is_digest
from engines.contract import Pulled
from engines.pulling import Tally
from policies.json import JSON, Object

_MEGABYTE: Final = 1_000_000


class ModelRunnerStock:
    """Implements `edge.dialects.stock.StockRendering`."""

    content_type = "application/json"

    def progress(self, pulled: Pulled, tally: Tally) -> bytes:
        """One line for each piece of a layer."""
        if not is_digest(pulled.layer):
            return b""
        layer: Object = {"id": pulled.layer, "size": pulled.size, "current": pulled.came}
        message = f"Downloaded: {tally.came / _MEGABYTE:.2f} MB"
        return _line({"type": "progress", "message": message, "total": tally.total, "layer": layer, "mode": "pull"})

    def pulled(self) -> bytes:
        """The last line."""
        return _line({"type": "success", "message": "Model pulled successfully", "total": 0, "mode": "pull"})

    def deleted(self, name: str) -> bytes:
        """That the name is gone is all that is known; what of its files another name still needs is not."""
        done: list[JSON] = [{"Untagged": name}]
        return orjson.dumps(done)


def _line(document: Object) -> bytes:
    return orjson.dumps(document) + b"\n"
