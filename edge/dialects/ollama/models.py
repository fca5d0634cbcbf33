"""Ollama's listings of models, and what it says of itself. Pure.

Source: ollama 0.32 `api/types.go`, facts/engines.md 3.1. Of files a gateway knows nothing: `size` is 0 and the details
are empty rather than made up. `digest` stands for the name alone (`ollama list` cuts it short, and fails on an empty
one). `capabilities` are those of the chat route, which all engines offer, not what the model was trained for.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from edge.dialects.writing import instant
from policies.json import JSON, Object

VERSION: Final = "0.32.15"
"""The release whose routes were read: clients look here for what they may ask for."""
BANNER: Final = b"Ollama is running"
_NEVER: Final = "2262-01-01T00:00:00Z"  # Ollama writes a time 292 years ahead; nanoseconds in 64 bits end in 2262
_ARCHITECTURE: Final = "unknown"
_CAPABILITIES: Final = ("completion", "tools")


@dataclass(frozen=True, slots=True)
class Shown:
    """A model as it is listed: `name` as callers write it, `identity` its canonical name, `created` in seconds since
    1970, `context` in tokens if known."""

    name: str
    identity: str
    created: int
    context: int | None


def version() -> Object:
    """`GET /api/version`."""
    return {"version": VERSION}


def tags(models: Iterable[Shown]) -> Object:
    """`GET /api/tags`."""
    return {"models": [{**_head(model), **_known(model)} for model in models]}


def loaded(models: Iterable[Shown], left: Callable[[str], float], now: float) -> Object:
    """`GET /api/ps`: those that are in an engine's memory, as far as the gateway knows.

    `left`: seconds for which the model of a canonical name will stay if nobody asks for it, 0 if it is not there.
    `now` in seconds since 1970.
    """
    listed: list[JSON] = []
    for model in models:
        if seconds := left(model.identity):
            expires = _NEVER if math.isinf(seconds) else instant(now + seconds)
            listed.append({**_head(model), "expires_at": expires, "size_vram": 0, "context_length": model.context or 0})
    return {"models": listed}


def show(model: Shown) -> Object:
    """`POST /api/show`. Editors read `capabilities` and the length of the context, which stands under the name of the
    architecture."""
    info: Object = {"general.architecture": _ARCHITECTURE, "general.basename": model.name}
    if model.context is not None:
        info[f"{_ARCHITECTURE}.context_length"] = model.context
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(model),
        "model_info": info,
        **_known(model),
    }


def _known(model: Shown) -> Object:
    return {"modified_at": instant(model.created), "capabilities": list[JSON](_CAPABILITIES)}


def _head(model: Shown) -> Object:
    digest = hashlib.sha256(model.identity.encode()).hexdigest()
    return {"name": model.name, "model": model.name, "size": 0, "digest": digest, "details": _details(model)}


def _details(model: Shown) -> Object:
    details: Object = {
        "parent_model": "",
        "format": "",
        "family": "",
        "families": [],
        "parameter_size": "",
        "quantization_level": "",
    }
    return details | ({} if model.context is None else {"context_length": model.context})
