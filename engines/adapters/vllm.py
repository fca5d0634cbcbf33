"""vLLM and vllm-metal (facts/engines.md 2.4)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from engines.adapters import listings, parameters
from engines.adapters.anthropic_shape import AnthropicShape
from engines.adapters.openai_shape import MESSAGES, REPETITION, V1, OpenAIShape, Sign, get
from engines.contract import Engine, Kind, Model, Tongue
from policies.call import Call, Operation
from policies.json import JSON, Object, as_object

EXTENSIONS = frozenset({"top_k", "min_p", "repetition_penalty"})


ANTHROPIC: Final = AnthropicShape(
    more=frozenset({"chat_template_kwargs", "reasoning_effort", "response_format"}),
    choices=frozenset({"auto", "required", "none", "tool"}),
)
"""vllm/entrypoints/anthropic/protocol.py. It has no `cache_salt`."""


class Vllm(OpenAIShape):
    """Continuous batching. Each caller gets a prefix cache of their own, since its timing tells what others asked
    (CVE-2025-46570). Probed by `/version`: `/health` is an empty 200, which anything may answer, and a dead engine
    ends the process."""

    kind = Kind.VLLM
    default_url = "http://127.0.0.1:8000"
    concurrency = 16
    paths = MappingProxyType(
        {
            **V1,
            Operation.RERANK: "/v1/rerank",
            # Below `/v1`, which its own key guards; `/score` is open.
            Operation.SCORE: "/v1/score",
            Operation.TOKENIZE: "/tokenize",
        }
    )
    prompt_path = "/tokenize"
    probe = get("/version")
    chat = parameters.CHAT | EXTENSIONS
    completions = parameters.COMPLETIONS | EXTENSIONS
    renames = REPETITION
    by_hand = parameters.THINKING
    native = MappingProxyType({MESSAGES: Tongue("/v1/messages", ANTHROPIC.write, isolates=False)})
    salted = True

    def recognises(self, sign: Sign) -> bool:
        """`{"version": "..."}` and nothing else, from uvicorn where a server is named."""
        document = as_object(sign.document)
        return [*document] == ["version"] and sign.server in ("", "uvicorn")

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        found = [listings.model(e, context=e.get("max_model_len")) for e in listings.entries(document, "data")]
        return [m for m in found if m is not None and engine.model in (None, m.id)]

    def text_body(self, text: str) -> Object:
        return {"prompt": text, "add_special_tokens": True}

    def adapt(self, call: Call, body: Object) -> None:
        """`none` is not an effort to vLLM; the three levels are."""
        if call.operation is Operation.CHAT:
            arguments = parameters.template_arguments(call)
            effort = arguments.pop("reasoning_effort", None)
            body.pop("reasoning_effort", None)
            if effort is not None:
                body["reasoning_effort"] = effort
            if arguments:
                body["chat_template_kwargs"] = arguments
