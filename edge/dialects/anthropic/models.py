"""Anthropic's listings of models. Source: anthropic-sdk-python, `types/model_info.py`, `pagination.py`."""

from __future__ import annotations

from collections.abc import Sequence

from edge.dialects.writing import instant
from policies.json import JSON, Object


def model_info(name: str, created: int) -> Object:
    """One model; `created` in seconds since the epoch."""
    return {"type": "model", "id": name, "display_name": name, "created_at": instant(created)}


def model_page(models: Sequence[Object]) -> Object:
    """All of them; there is never a second page."""
    data: list[JSON] = list(models)
    first, last = (models[0]["id"], models[-1]["id"]) if models else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}
