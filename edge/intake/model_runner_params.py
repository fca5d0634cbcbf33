"""What Docker Model Runner's own routes take: facts/engines.md 1.2, `pkg/inference/models/http_handler.go`.

`bearer-token`, a credential for a registry, is dropped and named: no credential of a caller's reaches an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from edge.intake.fields import Field, Record, fail
from edge.intake.openai_params import ModelName
from policies.call import Operation

SPECS: Final[Mapping[Operation, Record]] = MappingProxyType(
    {
        Operation.MODELS_PULL: Record(
            Field("from", ModelName(), required=True), dropped=("bearer-token", "ignore-runtime-memory-check")
        )
    }
)
_SWITCHES: Final[Mapping[str, str]] = MappingProxyType(
    {"force": "A model that is in use is not deleted.", "remote": "Registries are not looked into."}
)
_OFF: Final = frozenset({"", "0", "false"})
_MOST: Final = 8


def check_query(query: str) -> None:
    """Refusal(INVALID_PARAMETER) if `query` asks for what is not done here. `docker model rm` sends `force=false`."""
    if query.count("&") >= _MOST:
        fail(None, "The query has too many parts.")
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _SWITCHES and value.lower() not in _OFF:
            fail((None, name), _SWITCHES[name])
