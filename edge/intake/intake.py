"""A route and a document -> the `Call` that the rest of the line works with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from edge.dialects.anthropic.request import chat_body
from edge.dialects.contract import Translated
from edge.dialects.ollama.request import translate
from edge.dialects.ranking import plain
from edge.dialects.responses.kept import resolved, wanted_of
from edge.dialects.responses.request import chat_body as responses_body
from edge.dialects.responses.request import items_of
from edge.intake import model_runner_params, ollama_params, ranking_params
from edge.intake.anthropic_params import COUNT_SPEC, MESSAGES_SPEC
from edge.intake.fields import Record, check, fail
from edge.intake.openai_params import SPECS, count
from edge.intake.responses_params import INPUT_TOKENS_SPEC, RESPONSES_SPEC
from edge.intake.routes import Route
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.json import JSON, Object, as_object, as_str
from policies.reasons import Reason

# Engines parse JSON whatever the type says, and `text/plain` needs no CORS preflight (facts/security.md 3.3), so the
# route decides that the body is JSON and any other claim is refused. RFC 9110 8.3.1: any case, quotes allowed.
_JSON: Final = re.compile(
    r'application/json[ \t]*(?:;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*', re.IGNORECASE | re.ASCII
)
_LIMITS: Final = ("max_tokens", "max_completion_tokens")


def content_type_ok(headers: Mapping[str, str]) -> bool:
    """Whether a body is JSON in UTF-8 as it stands. `headers` has lower-case names; any Content-Encoding is a no."""
    return "content-encoding" not in headers and _JSON.fullmatch(headers.get("content-type", "")) is not None


def check_content_type(headers: Mapping[str, str]) -> None:
    """Refusal(UNSUPPORTED_MEDIA_TYPE) unless `content_type_ok`."""
    if not content_type_ok(headers):
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE)


def read_call(
    route: Route, document: Object, *, strict: bool = False, specs: Mapping[Operation, Record] = SPECS
) -> Call:
    """The checked call. Routes without a body take an empty `document`. Raises what `fields.check` raises.

    `body` lacks `model`, `stream` and `stream_options`: the engine's adapter makes those anew. Where both token limits
    are given, the smaller counts and both say so. `n` is per prompt, of which `body["prompt"]` may hold several.
    """
    spec = _spec(route, specs)
    if spec is None:
        return Call(route.operation, route.dialect, model=route.model, engine=route.engine, form=route.form)
    request, ignored = check(document, spec, strict=strict)
    told = _translated(route, request)
    body = told.body
    model = as_str(body.pop("model"))
    stream = body.pop("stream", False) is True
    options = as_object(body.pop("stream_options", None))
    return Call(
        operation=told.operation,
        dialect=route.dialect,
        model=model,
        engine=route.engine,
        stream=stream,
        include_usage=stream and options.get("include_usage") is True,
        max_tokens=_agree(body),
        n=count(body.get("n")),
        body=body,
        ignored=(*ignored, *told.ignored, *_tidy(body)),
        counts=route.counts,
        form=route.form,
        aim=told.aim,
        asked=request if route.dialect is Dialect.RESPONSES else {},
    )


def continued(call: Call, history: Sequence[Object], named: Sequence[Object]) -> Call:
    """`call` with its conversation so far, and with its references followed to items among `named`.

    All of it is checked as if the caller had sent it: there are bounds on the whole. Raises what `fields.check` raises.
    """
    asked = resolved(call.asked, named)
    items: list[JSON] = [*history, *items_of(asked["input"])]
    spec = INPUT_TOKENS_SPEC if call.counts else RESPONSES_SPEC
    whole, _ = check({**asked, "model": call.model, "input": items}, spec)
    body = _responses_body(whole, whole=True)
    for name in ("model", "stream"):
        body.pop(name, None)
    _tidy(body)
    return replace(call, body=body, asked=asked)


def _spec(route: Route, specs: Mapping[Operation, Record]) -> Record | None:
    """What a document on that route may hold; None if it has no body."""
    match route.dialect:
        case Dialect.OLLAMA:
            return ollama_params.SPECS.get((route.operation, route.form))
        case Dialect.MODEL_RUNNER:
            return model_runner_params.SPECS.get(route.operation)
        case Dialect.ANTHROPIC if route.operation is Operation.CHAT:
            return COUNT_SPEC if route.counts else MESSAGES_SPEC
        case Dialect.RESPONSES:
            return INPUT_TOKENS_SPEC if route.counts else RESPONSES_SPEC
        case _:
            return ranking_params.SPECS.get(route.operation) or specs.get(route.operation)


def _translated(route: Route, request: Object) -> Translated:
    """A checked request in the internal form."""
    match route.dialect:
        case Dialect.OPENAI:
            return Translated(route.operation, plain(route.operation, request))
        case Dialect.RESPONSES:
            return Translated(route.operation, _responses_body(request, whole=not wanted_of(request)))
        case Dialect.ANTHROPIC:
            return Translated(route.operation, _spoken(chat_body(request), "messages"))
        case Dialect.OLLAMA:
            told = translate(request, route.operation, route.form)
            if told.operation is Operation.CHAT:
                _spoken(told.body, "messages")
            return told
        case Dialect.MODEL_RUNNER:
            return Translated(route.operation, {"model": request["from"], "stream": True})
    assert_never(route.dialect)


def _responses_body(asked: Object, *, whole: bool) -> Object:
    """`whole`: whether what is sent is all of the conversation."""
    body = responses_body(asked)
    return _spoken(body, "input") if whole else body


def _spoken(body: Object, name: str) -> Object:
    """`body` with something said in it; else a Refusal for `name`. Messages of the caller may be nothing but blocks or
    texts that are left out, and engines fall over a conversation without any."""
    if not body["messages"]:
        fail((None, name), None, Reason.MISSING_PARAMETER)
    return body


def _agree(body: Object) -> int | None:
    """The effective token limit; afterwards every limit in `body` says the same."""
    given: list[int] = [value for name in _LIMITS if isinstance(value := body.get(name), int)]
    if not given:
        return None
    least = min(given)
    for name in _LIMITS:
        if name in body:
            body[name] = least
    return least


def _tidy(body: Object) -> tuple[str, ...]:
    """Without tools (some clients send `[]`, and ours may all have been dropped) choosing among them is an error."""
    tools: JSON = body.get("tools")
    if tools:
        return ()
    body.pop("tools", None)
    return tuple(name for name in ("tool_choice", "parallel_tool_calls") if body.pop(name, None) is not None)
