"""Any OpenAI-compatible engine: nothing is known about it, so little is changed."""

from __future__ import annotations

from engines.adapters.openai_shape import OpenAIShape


class OpenAI(OpenAIShape):
    """The shape itself. Both length names exist in the wild, so the caller's own is kept."""

    limit_name = None
