"""An engine's answer to rerank, score or tokenize -> the caller's. Pure.

One shape whatever the engine's (llama-server sends no documents, vLLM sends them all, releases differ in usage): the
engine gives a number for each pair, and the gateway sorts, cuts and shows the caller's own texts. An engine that leaves
a pair out, repeats one, or gives no number is broken: a list that looks whole would rank the rest wrongly in silence.
"""

from __future__ import annotations

import math
from typing import Final

from edge.relay.answer import parsed
from edge.relay.usage import Reported
from engines.contract import Adapter, Target
from policies.call import Call, Operation
from policies.errors import EngineBroke
from policies.exchange import Usage
from policies.json import JSON, Object, as_count, as_list, as_object

_FAILED: Final = 1e6
"""llama-server writes -1e6 for a text that it could not judge (`send_rerank`), and no model's logit is near it."""


def read_judged(body: bytes, call: Call, target: Target, adapter: Adapter, usage: Usage) -> Object:
    """The answer for the caller; `usage` is filled with what the engine counted.

    Raises EngineBroke when the body is no answer to `call`.
    """
    document = parsed(body)
    match call.operation:
        case Operation.RERANK:
            return _reranked(document, call, usage)
        case Operation.SCORE:
            return _scored(document, call, usage)
        case _:
            return _tokenized(document, call, target, adapter)


def _reranked(document: Object, call: Call, usage: Usage) -> Object:
    texts = as_list(call.body.get("documents"))
    scores = _scores(document.get("results"), "relevance_score", len(texts))
    best = sorted(range(len(texts)), key=lambda index: (-scores[index], index))
    most, shown = as_count(call.body.get("top_n")), call.body.get("return_documents") is True
    results: list[JSON] = []
    for index in best[:most]:
        result: Object = {"index": index, "relevance_score": scores[index]}
        if shown:
            result["document"] = {"text": texts[index]}
        results.append(result)
    return {"object": "list", "model": call.model, "results": results, "usage": _usage(document, usage)}


def _scored(document: Object, call: Call, usage: Usage) -> Object:
    scores = _scores(document.get("data"), "score", len(as_list(call.body.get("text_2"))))
    data: list[JSON] = [{"index": index, "object": "score", "score": score} for index, score in enumerate(scores)]
    return {"object": "list", "model": call.model, "data": data, "usage": _usage(document, usage)}


def _tokenized(document: Object, call: Call, target: Target, adapter: Adapter) -> Object:
    count = adapter.counted(document)
    if count is None:
        raise EngineBroke("the answer has no count")
    answer: Object = {"model": call.model, "count": count}
    if target.model.context:
        answer["max_model_len"] = target.model.context
    return answer


def _scores(rows: JSON, name: str, expected: int) -> list[float]:
    """One number for each of the caller's pairs, in its order."""
    found: dict[int, float] = {}
    for row in as_list(rows)[: expected + 1]:
        entry = as_object(row)
        index, score = as_count(entry.get("index")), entry.get(name)
        if index is None or index >= expected or index in found:
            raise EngineBroke("a result has an index of its own")
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise EngineBroke("a result has no score")
        if not math.isfinite(score) or abs(score) >= _FAILED:
            raise EngineBroke("a score is out of range")
        found[index] = float(score)
    if len(found) != expected:
        raise EngineBroke("the answer has not one result for each text")
    return [found[index] for index in range(expected)]


def _usage(document: Object, usage: Usage) -> Object:
    """Nothing is written: all tokens are the prompt's, and vLLM's first releases named the sum only."""
    told = as_object(document.get("usage"))
    prompt = told.get("prompt_tokens") or told.get("total_tokens")
    Reported(usage).read({"usage": {"prompt_tokens": prompt}})
    if usage.input is None:
        return {"prompt_tokens": 0, "total_tokens": 0}
    usage.output, usage.source = 0, "engine"
    return {"prompt_tokens": usage.input, "total_tokens": usage.input}
