"""What engines are asked for rerank, score and tokenize, and who cannot be asked."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engines.adapters.offers import explain, kinds_for, needed
from engines.adapters.registry import adapter_for
from engines.contract import Kind
from policies.call import Call, Dialect, Operation
from policies.errors import Refusal
from policies.json import Object
from policies.reasons import Reason
from tests.engines.adapters.calls import HI, built, chat, embeddings, target

RERANK = Call(
    Operation.RERANK,
    Dialect.OPENAI,
    "asked",
    max_tokens=5,  # a policy's cap: nothing to an engine that writes nothing
    body={"query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": True},
)
SCORE = Call(Operation.SCORE, Dialect.OPENAI, "asked", body={"text_1": "q", "text_2": ["a"]})
TEXT = Call(Operation.TOKENIZE, Dialect.OPENAI, "asked", body={"prompt": "hi"}, counts=True)
MESSAGES = Call(Operation.TOKENIZE, Dialect.OPENAI, "asked", body={"messages": HI}, counts=True)
RERANKED: Object = {"model": "Own/Id:1", "query": "q", "documents": ["a", "b"]}
SCORED: Object = {"model": "Own/Id:1", "text_1": "q", "text_2": ["a"]}
K = Kind


@dataclass(frozen=True)
class Head:
    status: int
    content_type: str = "application/json"
    retry_after: float | None = None


@pytest.mark.parametrize(
    ("kind", "call", "path", "body"),
    [
        (K.LLAMA_SERVER, RERANK, "/v1/rerank", RERANKED),
        (K.VLLM, RERANK, "/v1/rerank", RERANKED),
        (K.DOCKER_MODEL_RUNNER, RERANK, "/engines/rerank", RERANKED),
        (K.VLLM, SCORE, "/v1/score", SCORED),
        (K.DOCKER_MODEL_RUNNER, SCORE, "/engines/score", SCORED),
        (K.LLAMA_SERVER, TEXT, "/tokenize", {"model": "Own/Id:1", "content": "hi", "add_special": True}),
        (K.VLLM, TEXT, "/tokenize", {"model": "Own/Id:1", "prompt": "hi", "add_special_tokens": True}),
        (K.LLAMA_CPP_PYTHON, TEXT, "/extras/tokenize/count", {"model": "Own/Id:1", "input": "hi"}),
        (K.LLAMA_SERVER, MESSAGES, "/v1/chat/completions/input_tokens", {"model": "Own/Id:1", "messages": HI}),
        (K.VLLM, MESSAGES, "/tokenize", {"model": "Own/Id:1", "messages": HI}),
    ],
)
def test_an_engine_is_asked_for_numbers_alone(kind: Kind, call: Call, path: str, body: Object) -> None:
    """Without top_n and documents to return, and without the salt of prefix caches."""
    assert adapter_for(kind).offers(call)
    assert adapter_for(kind).build(call, target(kind), stream=False, salt="s").path == path
    assert built(kind, call) == body


@pytest.mark.parametrize(
    ("call", "able"),
    [
        (RERANK, {K.LLAMA_SERVER, K.VLLM, K.DOCKER_MODEL_RUNNER}),
        (SCORE, {K.VLLM, K.DOCKER_MODEL_RUNNER}),
        (TEXT, {K.LLAMA_SERVER, K.VLLM, K.LLAMA_CPP_PYTHON}),
        (MESSAGES, {K.LLAMA_SERVER, K.VLLM}),
        (chat(), set(Kind)),
        (embeddings(), set(Kind) - {K.MLX_LM}),
    ],
)
def test_who_cannot_be_asked_says_who_could(call: Call, able: set[Kind]) -> None:
    assert kinds_for(call) == able
    for kind in set(Kind) - able:
        with pytest.raises(Refusal) as caught:
            adapter_for(kind).build(call, target(kind), stream=False, salt="")
        assert caught.value.reason is Reason.OPERATION_NOT_SUPPORTED
    said = needed(call)
    assert (said is None) == (able == set(Kind))
    if said is not None:
        assert {kind for kind in Kind if kind.value in said.partition(",")[0] + said} >= able


def test_the_sentences() -> None:
    assert needed(RERANK) == (
        "rerank needs an engine of kind docker-model-runner, llama-server or vllm, serving a model made for it"
        " (llama-server: --reranking)."
    )
    assert needed(SCORE) == (
        "score needs an engine of kind docker-model-runner or vllm, serving a model made for it with vLLM."
    )
    assert needed(TEXT) == "tokenize needs an engine of kind llama-cpp-python, llama-server or vllm."
    assert needed(MESSAGES) == "the count of a chat needs an engine of kind llama-server or vllm."


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (K.LLAMA_SERVER, 501, b'{"error":{"code":501,"message":"no","type":"not_supported_error"}}'),
        (K.VLLM, 400, b'{"error":{"message":"The model does not support Rerank (Score) API","code":400}}'),
        (K.VLLM, 404, b'{"detail":"Not Found"}'),
        (K.DOCKER_MODEL_RUNNER, 404, b'{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}'),
        (K.DOCKER_MODEL_RUNNER, 404, b"404 page not found\n"),
    ],
)  # fmt: skip
def test_an_engine_without_the_route_or_the_model_for_it(kind: Kind, status: int, body: bytes) -> None:
    for call in (RERANK, SCORE, TEXT):
        error = explain(adapter_for(kind), call, Head(status), body)
        assert error.reason is Reason.OPERATION_NOT_SUPPORTED
        assert error.hint == needed(call)
        assert not error.cause.retry


def test_a_missing_model_and_a_chat_that_nobody_serves_are_worth_another_try() -> None:
    vllm = adapter_for(K.VLLM)
    gone = b'{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}'
    assert explain(vllm, RERANK, Head(404), gone).reason is Reason.NO_ENGINE
    assert explain(vllm, chat(), Head(404), b"404 page not found\n").reason is Reason.NO_ENGINE
