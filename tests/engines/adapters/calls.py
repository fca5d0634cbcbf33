"""Calls as intake makes them, and what an adapter makes of them."""

from __future__ import annotations

from typing import cast

import orjson

from engines.adapters.registry import adapter_for
from engines.contract import Engine, Kind, Model, Target
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object

HI: list[JSON] = [{"role": "user", "content": "hi"}]


def chat(messages: JSON = None, **body: JSON) -> Call:
    return Call(Operation.CHAT, Dialect.OPENAI, "asked", body={"messages": messages or HI, **body})


def completions(prompt: JSON = "hi", **body: JSON) -> Call:
    return Call(Operation.COMPLETIONS, Dialect.OPENAI, "asked", body={"prompt": prompt, **body})


def embeddings(**body: JSON) -> Call:
    return Call(Operation.EMBEDDINGS, Dialect.OPENAI, "asked", body={"input": "hi", **body})


def target(kind: Kind) -> Target:
    return Target(Engine("e", kind, "http://127.0.0.1:1", 1), Model("m", "Own/Id:1"))


def built(kind: Kind, call: Call, *, stream: bool = False, salt: str = "salt") -> Object:
    """The body an engine of `kind` gets."""
    request = adapter_for(kind).build(call, target(kind), stream=stream, salt=salt)
    assert request.method == "POST"
    return cast("Object", orjson.loads(request.body))
