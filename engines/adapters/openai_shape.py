"""What all engines share: OpenAI's routes and bodies. A subclass per kind states how it differs, as data where it can.

A body is always written anew: the engine's own model id, the parameters on this engine's allow-list, `stream` and
`stream_options` of ours. Nothing a caller sent reaches an engine because we did not know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import orjson

from engines.adapters import failures, listings, parameters
from engines.adapters.messages import BOTH_NAMES, prepared
from engines.contract import Dialects, Engine, Kind, Model, Pulled, Speech, Target, Tongue, UpstreamRequest
from policies.call import GENERATING, JUDGING, Call, Dialect, Form, Operation
from policies.errors import EngineBroke, Refusal, UpstreamError
from policies.json import JSON, Object, as_count, as_object, as_str
from policies.reasons import Reason

HEADERS: Final = (("content-type", "application/json"), ("accept", "application/json, text/event-stream"))
V1: Final[Mapping[Operation, str]] = MappingProxyType(
    {
        Operation.CHAT: "/v1/chat/completions",
        Operation.COMPLETIONS: "/v1/completions",
        Operation.EMBEDDINGS: "/v1/embeddings",
    }
)
MESSAGES: Final[Speech] = (Dialect.ANTHROPIC, Operation.CHAT, Form.ONLY)
AS_THEY_ARE: Final[Mapping[str, str]] = MappingProxyType({})
REPEAT: Final[Mapping[str, str]] = MappingProxyType({"repetition_penalty": "repeat_penalty"})
REPETITION: Final[Mapping[str, str]] = MappingProxyType({"repeat_penalty": "repetition_penalty"})


def get(path: str, *headers: tuple[str, str]) -> UpstreamRequest:
    """A GET of a constant path."""
    return UpstreamRequest("GET", path, headers=(("accept", "*/*"), *headers))


@dataclass(frozen=True, slots=True)
class Sign:
    """An answer to a probe: the `Server` header in lower case, the body's document (None if not JSON), the body."""

    server: str
    document: JSON
    body: bytes


_OURS: Final = frozenset({*parameters.LIMITS, "user", "metadata"})
"""What the gateway itself answers to, or no engine need know."""
_TEMPLATED: Final = ("model", "messages", "tools", "chat_template_kwargs")
"""What a chat template makes the prompt of."""


class OpenAIShape:
    """An OpenAI-compatible engine of unknown make, and the base of the known ones. Implements `contract.Adapter`.

    Beyond the contract: `listing_disturbs` says that asking for the models can end a running answer (list only when
    the engine is idle); `count_path` is where `count` goes; `by_hand` are parameters that are on no list of an engine's
    since `adapt` says them in another way; `native_only` are those that only the routes of its own dialects have.
    """

    kind: Kind = Kind.OPENAI
    default_url: str | None = None
    concurrency: int = 8
    loaded_models: int | None = None
    always_stream: bool = False
    listing_disturbs: bool = False
    paths: Mapping[Operation, str] = V1
    native: Mapping[Speech, Tongue] = MappingProxyType({})
    native_only: frozenset[str] = frozenset()
    count_path: str | None = None
    prompt_path: str | None = None
    pull_path: str | None = None
    deletes: bool = False
    probe: UpstreamRequest = get("/v1/models")
    listing: UpstreamRequest = get("/v1/models")
    headers: tuple[tuple[str, str], ...] = HEADERS

    chat: frozenset[str] = parameters.CHAT
    completions: frozenset[str] = parameters.COMPLETIONS
    embeddings: frozenset[str] = parameters.EMBEDDINGS
    renames: Mapping[str, str] = AS_THEY_ARE
    limit_name: str | None = "max_tokens"
    media: bool = True
    flat: bool = False
    thoughts: tuple[str, ...] = BOTH_NAMES
    one_answer: bool = False
    one_prompt: bool = False
    checks_bias: bool = True
    by_hand: frozenset[str] = frozenset()
    heeds_tool_choice: bool = True
    reports_usage: bool = True
    salted: bool = False

    def is_mine(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """See `contract.Adapter.is_mine`."""
        sign = Sign(headers.get("server", "").lower(), listings.parse(body), body)
        return status == HTTPStatus.OK and self.recognises(sign)

    def recognises(self, sign: Sign) -> bool:
        """Whether the answer to `probe` comes from this kind: here, any list of models."""
        return listings.is_list(sign.document)

    def models(self, document: JSON, engine: Engine) -> list[Model]:
        """The models of an OpenAI list; only the pinned one if the engine has a pin."""
        found = [listings.model(entry) for entry in listings.entries(document, "data")]
        return [m for m in found if m is not None and engine.model in (None, m.id)]

    def build(self, call: Call, target: Target, *, stream: bool, salt: str) -> UpstreamRequest:
        """See `contract.Adapter.build`."""
        path = self.paths.get(call.operation)
        if path is None or not self.offers(call):
            raise Refusal(Reason.OPERATION_NOT_SUPPORTED)
        if call.operation is Operation.TOKENIZE:
            return self._tokenized(call, target, path)
        return self._post(path, self._body(call, target, self._known(call.operation), stream=stream, salt=salt))

    def build_native(self, call: Call, target: Target, *, stream: bool, salt: str) -> UpstreamRequest | None:
        """See `contract.Adapter.build_native`. The body is first made for OpenAI's route, so that every rule of this
        kind holds on both."""
        tongue = self.tongue(target.engine, (call.dialect, call.operation, call.form))
        if tongue is None or call.operation not in self.paths:
            return None
        salt = "" if target.engine.dialects is Dialects.NATIVE else salt
        known = self._known(call.operation) | self.native_only
        body = tongue.write(self._body(call, target, known, stream=stream, salt=salt))
        return None if body is None else self._post(tongue.path, body)

    def tongue(self, engine: Engine, speech: Speech) -> Tongue | None:
        """The route on which `engine` is asked in that dialect, None where everything is translated."""
        found = self.native.get(speech)
        if found is None or engine.dialects is Dialects.TRANSLATE:
            return None
        return found if found.isolates or engine.dialects is Dialects.NATIVE else None

    def _body(self, call: Call, target: Target, known: frozenset[str], *, stream: bool, salt: str) -> Object:
        body = self._kept(call, known)
        if call.operation is Operation.CHAT:
            said = call.body.get("messages")
            body["messages"] = prepared(said, media=self.media, flat=self.flat, thoughts=self.thoughts)
            if not self.heeds_tool_choice:
                parameters.narrow_tools(call, body)
        elif call.operation is Operation.COMPLETIONS and self.one_prompt:
            body["prompt"] = parameters.one_prompt(call.body.get("prompt"))
        if call.operation in GENERATING:
            self._length(call, body)
            self._streaming(body, stream=stream)
        if self.salted and salt and call.operation in GENERATING:
            body["cache_salt"] = salt
        self.adapt(call, body)
        body["model"] = target.model.id
        return body

    def offers(self, call: Call) -> bool:
        """See `contract.Adapter.offers`. To count text is one thing; what a chat's template makes of it, another."""
        if call.operation is Operation.TOKENIZE and "messages" in call.body:
            return self.prompt_path is not None
        return call.operation in self.paths

    def text_body(self, text: str) -> Object:
        """What the tokenizer at `paths[TOKENIZE]` or `count_path` is asked, beside the model: the tokens of a prompt,
        so with the one that begins it."""
        return {"input": text}

    def adapt(self, call: Call, body: Object) -> None:
        """The quirks of one engine: change `body` in place, or refuse. `model` is set after this."""

    def explain(self, status: int, content_type: str, body: bytes, retry_after: float | None) -> UpstreamError:
        """See `contract.Adapter.explain` and `failures`."""
        return failures.explain(status, failures.read(content_type, body), retry_after)

    def silent(self, call: Call) -> UpstreamError:  # noqa: ARG002 - of the kind that knows
        """See `contract.Adapter.silent`."""
        return EngineBroke("the stream was empty")

    def pull(self, model: str) -> UpstreamRequest | None:  # noqa: ARG002 - of the kinds that can
        """See `contract.Adapter.pull`."""
        return None

    def pulled(self, line: Object) -> Pulled:  # noqa: ARG002 - as above
        """See `contract.Adapter.pulled`."""
        return Pulled()

    def delete(self, model: Model) -> UpstreamRequest | None:  # noqa: ARG002 - as above
        """See `contract.Adapter.delete`."""
        return None

    def count(self, target: Target, text: str) -> UpstreamRequest | None:
        """See `contract.Adapter.count`; the body is that of llama-cpp-python, the only one that needs it."""
        if self.count_path is None:
            return None
        return self._post(self.count_path, {"model": target.model.id, **self.text_body(text)})

    def count_prompt(self, call: Call, target: Target) -> UpstreamRequest | None:
        """See `contract.Adapter.count_prompt`; chats only, since templates and tools are what one cannot guess."""
        if self.prompt_path is None or call.operation is not Operation.CHAT:
            return None
        chat = as_object(orjson.loads(self.build(call, target, stream=False, salt="").body))
        body = {name: chat[name] for name in _TEMPLATED if name in chat}
        return UpstreamRequest("POST", self.prompt_path, orjson.dumps(body), self.headers)

    def counted(self, document: JSON) -> int | None:
        """See `contract.Adapter.counted`."""
        answer = as_object(document)
        tokens = answer.get("tokens")
        if "count" not in answer and isinstance(tokens, list):
            return len(tokens)
        return as_count(answer.get("count", answer.get("input_tokens")))

    def left_out(self, call: Call, *, native: bool = False) -> tuple[str, ...]:
        """See `contract.Adapter.left_out`."""
        if call.operation in JUDGING:  # what engines are not told of those is the gateway's own
            return ()
        known = self._known(call.operation) | self.by_hand | _OURS | (self.native_only if native else frozenset())
        if not self.heeds_tool_choice and call.body.get("tool_choice") != "required":
            known |= {"tool_choice"}
        return tuple(
            name for name, value in call.body.items() if value is not None and self.renames.get(name, name) not in known
        )

    def _tokenized(self, call: Call, target: Target, path: str) -> UpstreamRequest:
        if "messages" in call.body:
            request = self.count_prompt(replace(call, operation=Operation.CHAT), target)
            if request is None:
                raise Refusal(Reason.OPERATION_NOT_SUPPORTED)
            return request
        return self._post(path, {"model": target.model.id, **self.text_body(as_str(call.body.get("prompt")))})

    def _post(self, path: str, body: Object) -> UpstreamRequest:
        try:
            return UpstreamRequest("POST", path, orjson.dumps(body), self.headers)
        except orjson.JSONEncodeError:  # lone surrogates, integers beyond 64 bits
            raise Refusal(Reason.INVALID_JSON) from None

    def _kept(self, call: Call, known: frozenset[str]) -> Object:
        """The parameters on the allow-list `known`, under this engine's names. `null` means the default and is left
        out: mlx-lm answers 400 to `"temperature": null`."""
        body: Object = {"model": ""}  # first, so that engines (DMR) that route on a prefix of the body find it
        for name, value in call.body.items():
            wire = self.renames.get(name, name)
            if value is not None and wire in known:
                body[wire] = value
        if self.one_answer and call.operation in GENERATING:
            parameters.refuse_many(call)
            body.pop("n", None)
        if not self.checks_bias:
            parameters.refuse_bias(call)
        return body

    def _known(self, operation: Operation) -> frozenset[str]:
        match operation:
            case Operation.CHAT:
                return self.chat
            case Operation.COMPLETIONS:
                return self.completions
            case Operation.EMBEDDINGS:
                return self.embeddings
            case _:
                return parameters.RANKING

    def _length(self, call: Call, body: Object) -> None:
        most = parameters.limit(call)
        if most is not None:
            asked = "max_completion_tokens" if "max_completion_tokens" in call.body else "max_tokens"
            body[self.limit_name or asked] = most

    def _streaming(self, body: Object, *, stream: bool) -> None:
        body["stream"] = stream
        if stream and self.reports_usage:
            # The whole object, never the caller's: mlx-lm raises KeyError when `include_usage` is missing.
            body["stream_options"] = {"include_usage": True}
