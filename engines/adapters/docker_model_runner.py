"""Docker Model Runner (facts/engines.md 1). Always by `/engines/v1/...`: it chooses the backend itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import orjson

from engines.adapters import listings, parameters
from engines.adapters.anthropic_shape import AnthropicShape
from engines.adapters.openai_shape import MESSAGES, REPEAT, V1, OpenAIShape, Sign, get
from engines.contract import Engine, Kind, Model, Pulled, Target, Tongue, UpstreamRequest
from policies.call import GENERATING, Call, Operation
from policies.json import JSON, Object, as_count, as_object, as_str
from policies.names import is_name

BACKENDS: Final = frozenset({"llama.cpp", "vllm", "mlx", "sglang", "diffusers"})
"""What may stand in `/engines/{backend}/v1/...`."""
_EVERYTHING: Final = "purge"
_JSON: Final = (("content-type", "application/json"), ("accept", "application/json"))
EXTENSIONS = frozenset({"top_k", "min_p", "typical_p", "repeat_penalty", "repeat_last_n", "cache_prompt"})


ANTHROPIC: Final = AnthropicShape(more=frozenset({"chat_template_kwargs"}))
"""What llama-server and vLLM both have: it hands the body on to the one or the other."""


class DockerModelRunner(OpenAIShape):
    """llama.cpp or vLLM behind one door, and we do not know which: parameters are sent in both spellings (both ignore
    fields they do not know). Its own errors are plain text, which `failures` reads like any other."""

    kind = Kind.DOCKER_MODEL_RUNNER
    default_url = "http://127.0.0.1:12434"
    concurrency = 4
    loaded_models = 8  # its runner processes
    paths = MappingProxyType(
        {
            **{operation: "/engines" + path for operation, path in V1.items()},
            Operation.RERANK: "/engines/rerank",
            Operation.SCORE: "/engines/score",
        }
    )
    probe = get("/")
    listing = get("/engines/v1/models")
    chat = (parameters.CHAT | EXTENSIONS) - {"reasoning_effort"}
    completions = parameters.COMPLETIONS | EXTENSIONS
    renames = REPEAT
    by_hand = parameters.THINKING
    salted = True
    native = MappingProxyType({MESSAGES: Tongue("/anthropic/v1/messages", ANTHROPIC.write, isolates=False)})
    prompt_path = "/anthropic/v1/messages/count_tokens"
    pull_path = "/models/create"
    deletes = True

    def recognises(self, sign: Sign) -> bool:
        return sign.body.strip() == b"Docker Model Runner is running"

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        found = [
            listings.model(entry, context=as_object(entry.get("dmr")).get("context_window"))
            for entry in listings.entries(document, "data")
        ]
        return [m for m in found if m is not None and engine.model in (None, m.id)]

    def pull(self, model: str) -> UpstreamRequest | None:
        """With exactly this Accept: for any other it sends JSON escaped as HTML. The repository in lower case, as it
        makes it itself: a capital in front of the first `/` makes some parsers take that for a host."""
        folder, slash, last = model.rpartition("/")
        name, colon, tag = last.partition(":")
        wanted = f"{folder}{slash}{name}".lower() + colon + tag
        return UpstreamRequest("POST", self.pull_path, orjson.dumps({"from": wanted}), _JSON)

    def pulled(self, line: Object) -> Pulled:
        """`{"type":"progress","total":…,"layer":{"id","size","current"}}`, at last `{"type":"success"}`."""
        layer, kind = as_object(line.get("layer")), line.get("type")
        return Pulled(
            layer=as_str(layer.get("id")),
            came=as_count(layer.get("current")) or 0,
            size=as_count(layer.get("size")) or 0,
            total=as_count(line.get("total")) or 0,
            done=kind == "success",
            error=(as_str(line.get("message")) or "no reason given") if kind == "error" else "",
        )

    def delete(self, model: Model) -> UpstreamRequest | None:
        """By the id that it lists. Never `purge`, which on this path is everything, and never with `force`."""
        if not is_name(model.id) or model.id.lower() == _EVERYTHING:
            return None
        return UpstreamRequest("DELETE", f"/models/{model.id}", headers=_JSON[1:])

    def offers(self, call: Call) -> bool:
        """It counts prompts on the way to an answer; `/v1/tokenize` has no route there."""
        return call.operation in self.paths

    def count_prompt(self, call: Call, target: Target) -> UpstreamRequest | None:
        """By the engine behind it, which counts in Anthropic's dialect only."""
        request = super().count_prompt(call, target)
        body = None if request is None else ANTHROPIC.prompt(as_object(orjson.loads(request.body)))
        return None if body is None else UpstreamRequest("POST", self.prompt_path, orjson.dumps(body), self.headers)

    def adapt(self, call: Call, body: Object) -> None:
        """docker/model-runner#1028: effort `none` must reach the template."""
        if call.operation not in GENERATING:
            return
        if "repeat_penalty" in body:
            body["repetition_penalty"] = body["repeat_penalty"]
        if call.operation is Operation.CHAT and (arguments := parameters.template_arguments(call)):
            body["chat_template_kwargs"] = arguments
