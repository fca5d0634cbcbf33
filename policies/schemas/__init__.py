"""The published JSON Schemas of the input and the result document of a policy, both version 1."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Literal

from policies.json import Object


def schema(name: Literal["input", "result"]) -> Object:
    """The JSON Schema (2020-12) of a document."""
    document: Object = json.loads(files(__name__).joinpath(f"{name}.v1.schema.json").read_text(encoding="utf-8"))
    return document
