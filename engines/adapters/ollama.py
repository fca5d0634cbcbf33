"""Ollama by its OpenAI routes (facts/engines.md 2.5)."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Final

import orjson

from engines.adapters import listings, ollama_shape, parameters
from engines.adapters.anthropic_shape import AnthropicShape
from engines.adapters.openai_shape import HEADERS, MESSAGES, OpenAIShape, Sign, get
from engines.contract import Engine, Kind, Model, Pulled, Tongue, UpstreamRequest
from policies.call import Call, Dialect, Form, Operation
from policies.json import JSON, Object, as_count, as_object, as_str

LOCALHOST: Final = ("host", "localhost")
"""Ollama on loopback answers 403 to a Host it does not know (its guard against DNS rebinding)."""


ANTHROPIC: Final = AnthropicShape(more=frozenset({"reasoning_effort"}), choices=frozenset())
"""anthropic/anthropic.go. Which tool is chosen it does not look at: `narrow_tools` has done what can be done."""


class Ollama(OpenAIShape):
    """Its OpenAI layer ignores `max_completion_tokens`, `tool_choice`, `n` and `logit_bias`, and has no `top_k`."""

    kind = Kind.OLLAMA
    default_url = "http://127.0.0.1:11434"
    concurrency = 4
    loaded_models = 3  # OLLAMA_MAX_LOADED_MODELS, on one GPU
    probe = get("/api/version", LOCALHOST)
    listing = get("/api/tags", LOCALHOST)
    headers = (*HEADERS, LOCALHOST)
    pull_path = "/api/pull"
    deletes = True
    chat = parameters.SAMPLING | parameters.LOGPROBS | {"messages", "tools", "response_format", "reasoning_effort"}
    completions = parameters.SAMPLING | {"prompt", "suffix"}
    one_answer = True
    one_prompt = True
    flat = True
    thoughts = ("reasoning",)
    by_hand = parameters.THINKING
    heeds_tool_choice = False
    native_only = ollama_shape.ONLY_NATIVE
    native = MappingProxyType(
        {
            MESSAGES: Tongue("/v1/messages", ANTHROPIC.write),
            (Dialect.OLLAMA, Operation.CHAT, Form.ONLY): Tongue("/api/chat", ollama_shape.chat),
            (Dialect.OLLAMA, Operation.CHAT, Form.GENERATE): Tongue("/api/generate", ollama_shape.generate),
            (Dialect.OLLAMA, Operation.COMPLETIONS, Form.GENERATE): Tongue("/api/generate", ollama_shape.complete),
        }
    )

    def recognises(self, sign: Sign) -> bool:
        return isinstance(as_object(sign.document).get("version"), str)

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        """`/api/tags`, not `/v1/models`: only it says which models run on somebody else's machine."""
        found = [_model(entry) for entry in listings.entries(document, "models") if not leaves_the_machine(entry)]
        return [m for m in found if m is not None and engine.model in (None, m.id)]

    def pull(self, model: str) -> UpstreamRequest | None:
        """Never a cloud model: its prompts would leave the machine."""
        if leaves_the_machine({"name": model}):
            return None
        return UpstreamRequest("POST", self.pull_path, orjson.dumps({"model": model, "stream": True}), self.headers)

    def pulled(self, line: Object) -> Pulled:
        """`{"status":"pulling 797b…","digest":…,"total":…,"completed":…}`, at last `{"status":"success"}`."""
        return Pulled(
            layer=as_str(line.get("digest")),
            came=as_count(line.get("completed")) or 0,
            size=as_count(line.get("total")) or 0,
            done=line.get("status") == "success",
            error=as_str(line.get("error")),
        )

    def delete(self, model: Model) -> UpstreamRequest | None:
        """By the name that it lists."""
        return UpstreamRequest("DELETE", "/api/delete", orjson.dumps({"model": model.id}), self.headers)

    def adapt(self, call: Call, body: Object) -> None:
        """Ollama switches thinking by `reasoning_effort` itself, `none` included."""
        if call.operation is not Operation.CHAT:
            return
        arguments = parameters.template_arguments(call)
        if arguments.get("enable_thinking") is False:
            body["reasoning_effort"] = "none"
        elif "reasoning_effort" in arguments:
            body["reasoning_effort"] = arguments["reasoning_effort"]


def leaves_the_machine(entry: Object) -> bool:
    """A cloud model: `name:cloud`, `name:120b-cloud`, or a copy of one under any name (`remote_host` gives it away)."""
    tag = as_str(entry.get("name")).lower().rpartition(":")[2]
    remote = entry.get("remote_host") or entry.get("remote_model")
    return bool(remote) or tag == "cloud" or tag.endswith("-cloud")


def _model(entry: Object) -> Model | None:
    context = as_object(entry.get("details")).get("context_length")
    return listings.named(as_str(entry.get("name")), created=_seconds(entry.get("modified_at")), context=context)


def _seconds(moment: JSON) -> int:
    try:
        return max(int(datetime.fromisoformat(as_str(moment)).timestamp()), 0)
    except (ValueError, OverflowError, OSError):
        return 0
