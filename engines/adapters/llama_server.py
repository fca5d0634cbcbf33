"""llama-server of llama.cpp (facts/engines.md 2.1)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from engines.adapters import listings, parameters
from engines.adapters.anthropic_shape import AnthropicShape
from engines.adapters.openai_shape import MESSAGES, REPEAT, V1, OpenAIShape, Sign, get
from engines.contract import Engine, Kind, Model, Tongue
from policies.call import Call, Operation
from policies.json import JSON, Object, as_object

EXTENSIONS = frozenset({"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "cache_prompt"})


ANTHROPIC: Final = AnthropicShape(more=frozenset({"chat_template_kwargs"}))
"""tools/server/server-chat.cpp: a tool by name becomes any, `none` and the wish for one call at a time are not looked
at; no effort and no form of the answer."""


class LlamaServer(OpenAIShape):
    """Slots and continuous batching: four by default. `id_slot` is never passed on: slots are shared by all callers."""

    kind = Kind.LLAMA_SERVER
    default_url = "http://127.0.0.1:8080"
    concurrency = 4
    loaded_models = 4  # --models-max of its router, which drops one even while it answers (llama.cpp #21678)
    paths = MappingProxyType({**V1, Operation.RERANK: "/v1/rerank", Operation.TOKENIZE: "/tokenize"})
    prompt_path = "/v1/chat/completions/input_tokens"
    probe = get("/health")
    chat = (parameters.CHAT | EXTENSIONS) - {"reasoning_effort"}
    completions = parameters.COMPLETIONS | EXTENSIONS
    embeddings = parameters.EMBEDDINGS - {"dimensions"}
    renames = REPEAT
    thoughts = ("reasoning_content",)
    by_hand = parameters.THINKING
    native = MappingProxyType({MESSAGES: Tongue("/v1/messages", ANTHROPIC.write)})

    def recognises(self, sign: Sign) -> bool:
        """`{"status":"ok"}`; mlx-lm answers the same on the same port, but with Python's `BaseHTTP` as server."""
        document = as_object(sign.document)
        return document == {"status": "ok"} and "basehttp" not in sign.server

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        """The id is the `--alias` or the file's path; `meta.n_ctx` is the served context where the build tells it."""
        found = [
            listings.model(entry, context=as_object(entry.get("meta")).get("n_ctx"))
            for entry in listings.entries(document, "data")
        ]
        return [m for m in found if m is not None and engine.model in (None, m.id)]

    def text_body(self, text: str) -> Object:
        return {"content": text, "add_special": True}

    def adapt(self, call: Call, body: Object) -> None:
        """Thinking is a matter of the chat template here."""
        if call.operation is Operation.CHAT and (arguments := parameters.template_arguments(call)):
            body["chat_template_kwargs"] = arguments
