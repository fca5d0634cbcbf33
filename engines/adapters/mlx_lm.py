"""mlx_lm.server (facts/engines.md 2.3; checked against mlx-lm 0.32.2).

It loads, and downloads, whatever `model`, `adapters` and `draft_model` name, any caller's path included, and its
maintainers want a proxy to prevent that (mlx-lm #1687, #1892). So `model` is only ever an id that `models` made.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from engines.adapters import failures, listings, parameters
from engines.adapters.openai_shape import V1, OpenAIShape, Sign, get
from engines.contract import Engine, Kind, Model
from policies.call import Call, Operation
from policies.errors import EngineBroke, EngineRefused, Refusal, UpstreamError
from policies.json import JSON, Object, as_count, as_object, as_str
from policies.reasons import Reason

DEFAULT: Final = "default_model"
"""mlx-lm's own name for the model it was started with: asking for it never loads another."""
NO_FORMAT: Final = "This engine cannot hold its answer to a format."
EXTENSIONS = frozenset({"top_k", "min_p", "repetition_penalty", "repetition_context_size"})
_SAMPLING = parameters.SAMPLING | EXTENSIONS
_LOAD_FAILED = re.compile(r"repository not found|no such file|safetensors|config\.json|huggingface|hf_hub|localentry")
_MOST_LOGPROBS = 11
_HIGHEST_TOP_K: Final = 255
"""A `top_k` not below the size of the vocabulary is an exception in mlx-lm's one generation thread: it dies, and every
request from then on fails, while `/health` goes on saying 200 (run here, 0.32.2: 5000 with the tiny model). Only the
engine knows the size; but each vocabulary has the 256 bytes, and beyond so many the choice is as good as free."""
_RANDOM: Final = -1
_POSITIVE: Final = (1 << 63) - 1


class MlxLm(OpenAIShape):
    """Streams always (it never notices a caller leave otherwise) and at most four at once.

    Four, not its 32: with 16 in parallel, answers leaked between requests (mlx-lm #965). `seed` is passed on although
    it drains the batch and runs the request alone: dropping it would silently break reproducible runs.
    Images: 0.32.2 takes them for a few models, older releases close the connection; refused.
    """

    kind = Kind.MLX_LM
    default_url = "http://127.0.0.1:8080"
    concurrency = 4
    loaded_models = 1  # drops the one it has before it loads another
    always_stream = True
    paths = MappingProxyType({k: v for k, v in V1.items() if k is not Operation.EMBEDDINGS})
    probe = get("/health")
    chat = _SAMPLING | parameters.LOGPROBS | {"messages", "tools"}
    completions = _SAMPLING | {"prompt"}
    renames = MappingProxyType(
        {"repeat_penalty": "repetition_penalty", "repeat_last_n": "repetition_context_size"},
    )
    by_hand = parameters.THINKING | {"response_format", "logprobs"}
    media = False
    thoughts = ("reasoning_content",)  # what templates call it; its own answers say `reasoning`
    one_answer = True
    one_prompt = True
    heeds_tool_choice = False
    checks_bias = False

    def recognises(self, sign: Sign) -> bool:
        """llama-server's answer, but from Python's own HTTP server."""
        document = as_object(sign.document)
        return document == {"status": "ok"} and "basehttp" in sign.server

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        """The pinned model; without a pin the local folder it serves, or else what lies in its download cache.

        The listing shows the cache and, if it was started with a folder, that folder's path last. A pin that is in
        neither while a folder is served is a name for that folder.
        """
        ids = [as_str(entry.get("id")) for entry in listings.entries(document, "data")]
        folder = next((i for i in ids if i.startswith("/")), None)
        if engine.model is not None:
            wire = (
                DEFAULT if folder is not None and engine.model not in ids and "/" not in engine.model else engine.model
            )
            found = [listings.named(wire, name=engine.model)]
        elif folder is not None:
            found = [listings.named(DEFAULT, name=folder)]
        else:
            found = [listings.model(entry) for entry in listings.entries(document, "data")]
        return [m for m in found if m is not None]

    def adapt(self, call: Call, body: Object) -> None:
        """Formats are refused: they are ignored here, and a caller who parses JSON must not get prose as if it were."""
        kind = as_object(call.body.get("response_format")).get("type", "text")
        if kind != "text":
            raise Refusal(Reason.INVALID_PARAMETER, param="response_format", hint=NO_FORMAT)
        top = as_count(body.pop("top_k", None))  # -1 is "all" elsewhere, and an error here
        if top is not None:
            body["top_k"] = min(top, _HIGHEST_TOP_K)
        seed = body.get("seed")
        if isinstance(seed, int) and seed < 0:  # it would hang up: MLX seeds are unsigned
            body["seed"] = seed & _POSITIVE
            if seed == _RANDOM:  # as llama.cpp and Ollama take it
                del body["seed"]
        if call.operation is Operation.CHAT:
            if arguments := parameters.template_arguments(call):
                body["chat_template_kwargs"] = arguments
        elif (most := as_count(call.body.get("logprobs"))) is not None:
            # Completions count their logprobs (0..5) in OpenAI's dialect; here a flag and a number, as in chat.
            body["logprobs"], body["top_logprobs"] = True, min(most, _MOST_LOGPROBS)

    def explain(self, status: int, content_type: str, body: bytes, retry_after: float | None) -> UpstreamError:
        """404 is any exception before the first token: mostly a template refusing the messages, else a failed load."""
        complaint = failures.read(content_type, body)
        if status == HTTPStatus.NOT_FOUND:
            if _LOAD_FAILED.search(complaint.text):
                return EngineBroke(f"{complaint.detail(status)}: the model could not be loaded")
            return EngineRefused(Reason.ENGINE_REFUSED, detail=complaint.detail(status))
        return super().explain(status, content_type, body, retry_after)
