"""The OpenAI dialect's own documents: model listings. Source: the OpenAI API reference, Models."""

from __future__ import annotations

from collections.abc import Iterable

from policies.json import JSON, Object


def model_document(name: str, created: int, owner: str) -> Object:
    """One `model` object; `owner` is the engine's name."""
    return {"id": name, "object": "model", "created": created, "owned_by": owner}


def model_list(models: Iterable[Object]) -> Object:
    """`GET /v1/models`."""
    data: list[JSON] = list(models)
    return {"object": "list", "data": data}
