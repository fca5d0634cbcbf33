"""Docker Model Runner's own listing of models. Pure.

Source: facts/engines.md 1.2, `pkg/inference/models/api.go`. A gateway knows nothing of files: what it does not know is
empty rather than made up. `id` stands for the name alone (`docker model list` cuts a piece out of it, and fails on a
short one); it is no name to ask for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from policies.json import JSON, Object


@dataclass(frozen=True, slots=True)
class Tagged:
    """A model as it is listed: `identity` its canonical name, `tag` one name to ask for it by, `created` in seconds
    since 1970, `context` in tokens if known."""

    identity: str
    tag: str
    created: int
    context: int | None


def listing(models: Iterable[Tagged]) -> list[JSON]:
    """`GET /models`: each model once, with all its names."""
    found: dict[str, list[Tagged]] = {}
    for model in models:
        found.setdefault(model.identity, []).append(model)
    return [one(*tagged) for tagged in found.values()]


def one(first: Tagged, *more: Tagged) -> Object:
    """`GET /models/{name}`: one model, under one or several names."""
    tags: list[JSON] = [model.tag for model in (first, *more)]
    config: Object = {"format": "", "quantization": "", "parameters": "", "architecture": "", "size": ""}
    known: Object = {} if first.context is None else {"context_size": first.context}
    digest = hashlib.sha256(first.identity.encode()).hexdigest()
    return {"id": f"sha256:{digest}", "tags": tags, "created": first.created, "config": config | known}
