"""A complete answer of an engine -> the caller's. Pure."""

from __future__ import annotations

from typing import Final

import orjson

from edge.relay.chunks import KEPT, error_code, hide_fingerprint, normalise_reasoning
from edge.relay.deltas import known_choices, texts, tokens_in
from edge.relay.finishes import finished
from edge.relay.fragments import Fragments
from edge.relay.usage import Reported, usage_object
from policies.call import Operation
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_list, as_object, as_str

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of one complete answer: 2,048 embeddings of 1,536 floats are about 60 MiB of JSON."""

_KEPT: Final = {
    Operation.CHAT: KEPT,
    Operation.COMPLETIONS: KEPT,
    Operation.EMBEDDINGS: frozenset({"object", "data", "model"}),
}


def read_answer(body: bytes, operation: Operation, *, model: str, usage: Usage, answer: str = "") -> Object:
    """The answer for the caller: known fields only, the caller's name for the model.

    `usage` is filled with what the engine counted, or from the text (`chunks`) if it has not counted the answer.
    `answer`: its id, for those of calls that the engine gives none.

    Raises EngineBroke when the body is no answer to `operation`.
    """
    document = parsed(body)
    if operation is not Operation.EMBEDDINGS:
        document["choices"] = _choices(document, Fragments(answer))
    if not as_list(document.get("data" if operation is Operation.EMBEDDINGS else "choices")):
        raise EngineBroke("the answer is empty")
    shown: Object = {key: value for key, value in document.items() if key in _KEPT[operation]}
    shown["model"] = model
    hide_fingerprint(shown)
    reported = Reported(usage)
    reported.read(document)
    if operation is Operation.EMBEDDINGS:
        shown["usage"] = {"prompt_tokens": 0, "total_tokens": 0}
        if usage.input is not None:
            usage.output, usage.source = 0, "engine"
    elif not reported.settle(generated := _tokens(shown)):
        usage.output, usage.source = generated, "chunks"
    if usage.source != "none":
        shown["usage"] = usage_object(usage)
    return shown


def parsed(body: bytes) -> Object:
    """The document of an answer with status 200; EngineBroke where it is none, or says that it is an error."""
    try:
        document: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise EngineBroke("the answer is not JSON") from None
    if not isinstance(document, dict):
        raise EngineBroke("the answer is not an object")
    if document.get("error"):
        raise EngineBroke("error in a 200 answer: " + error_code(document))
    return document


def _choices(document: Object, fragments: Fragments) -> list[JSON]:
    choices = known_choices(document.get("choices"), "message")
    for position, choice in enumerate(choices):
        message = choice.get("message")
        if isinstance(message, dict):
            fragments.whole(position, message)
            normalise_reasoning(message)
        finish = choice.get("finish_reason")
        ended = isinstance(finish, str) and finish
        choice["finish_reason"] = finished(str(finish), called=fragments.called(position)) if ended else None
    return list[JSON](choices)


def _tokens(answer: Object) -> int:
    return sum(tokens_in(as_object(choice), "message") for choice in as_list(answer.get("choices")))


def answer_text(answer: Object) -> str:
    """All generated text in what `read_answer` gave."""
    return "".join("".join(texts(as_object(choice), "message")) for choice in as_list(answer.get("choices")))


def finish_reason(answer: Object) -> str:
    """Why the first choice ended; "" if it does not say."""
    for choice in as_list(answer.get("choices")):
        return as_str(as_object(choice).get("finish_reason"))
    return ""
