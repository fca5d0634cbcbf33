"""llama_cpp.server of llama-cpp-python (facts/engines.md 2.2)."""

from __future__ import annotations

from types import MappingProxyType

from engines.adapters import parameters
from engines.adapters.openai_shape import REPEAT, V1, OpenAIShape, Sign, get
from engines.contract import Kind
from policies.call import Call, Operation
from policies.errors import EngineRefused, UpstreamError
from policies.json import as_object, as_str
from policies.reasons import Reason

EXTENSIONS = frozenset({"top_k", "min_p", "repeat_penalty"})


class LlamaCppPython(OpenAIShape):
    """One lock, one request at a time, no usage in streams.

    With `interrupt_requests` (its default) any request that takes the lock ends the running stream early with a
    perfectly normal `[DONE]`; listing the models is such a request, fetching `/openapi.json` is not. A request that is
    not streamed runs to its end when the caller leaves, hence `always_stream`. The schema knows `n` but ignores it.
    `count_path` counts plain text; what the chat template adds is not exposed, so counts of prompts are estimates.
    """

    kind = Kind.LLAMA_CPP_PYTHON
    default_url = "http://127.0.0.1:8000"
    concurrency = 1
    loaded_models = 1
    always_stream = True
    listing_disturbs = True
    count_path = "/extras/tokenize/count"
    paths = MappingProxyType({**V1, Operation.TOKENIZE: count_path})
    probe = get("/openapi.json")
    chat = (parameters.CHAT | EXTENSIONS) - {"n", "parallel_tool_calls", "reasoning_effort"}
    completions = (parameters.COMPLETIONS | EXTENSIONS) - {"n"}
    embeddings = frozenset({"input"})
    renames = REPEAT
    one_answer = True
    one_prompt = True
    flat = True
    thoughts = ("reasoning_content",)
    reports_usage = False

    def recognises(self, sign: Sign) -> bool:
        """Its OpenAPI document says so, and lists the tokenizer route that nobody else has."""
        document = as_object(sign.document)
        title = as_str(as_object(document.get("info")).get("title"))
        routes = as_object(document.get("paths"))
        return "llama.cpp" in title and "/extras/tokenize/count" in routes

    def silent(self, call: Call) -> UpstreamError:
        """It raises two errors when a stream has begun and before it speaks, both after its 200 (llama.py, 0.3.36): a
        prompt beyond the context, and logprobs, which it has only when started for them."""
        wants_logprobs = call.body.get("logprobs") not in (None, False)
        reason = Reason.ENGINE_REFUSED if wants_logprobs else Reason.CONTEXT_LENGTH_EXCEEDED
        return EngineRefused(reason, detail="status 200, an empty stream")
