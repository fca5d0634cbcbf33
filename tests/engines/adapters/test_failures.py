"""What error answers mean. Bodies are those of the engines' sources, mlx-lm's and llama-cpp-python's of real runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.registry import ADAPTERS, adapter_for
from engines.contract import Kind
from policies.errors import EngineBroke, EngineTimeout, UpstreamError
from policies.reasons import Reason
from tests.engines.adapters.calls import chat

K, R = Kind, Reason
JSON_TYPE, TEXT = "application/json", "text/plain"

CASES = [
    # llama-server
    (K.LLAMA_SERVER, 503, b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}',
     R.ENGINE_BUSY),
    (K.LLAMA_SERVER, 400, b'{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}',
     R.CONTEXT_LENGTH_EXCEEDED),
    (K.LLAMA_SERVER, 401, b'{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
     R.ENGINE_BROKE),
    (K.LLAMA_SERVER, 501, b'{"error":{"code":501,"message":"no","type":"not_supported_error"}}',
     R.OPERATION_NOT_SUPPORTED),
    (K.LLAMA_SERVER, 400, b'{"error":{"code":400,"message":"bad grammar","type":"invalid_request_error"}}',
     R.ENGINE_REFUSED),
    # llama-cpp-python
    (K.LLAMA_CPP_PYTHON, 400, b'{"error":{"message":"...","param":"messages","code":"context_length_exceeded"}}',
     R.CONTEXT_LENGTH_EXCEEDED),
    (K.LLAMA_SERVER, 500, b'{"error":{"code":500,"message":"input (6000 tokens) is too large to process.","type":"x"}}',
     R.CONTEXT_LENGTH_EXCEEDED),
    (K.LLAMA_CPP_PYTHON, 401, b'{"detail":"Invalid API key"}', R.ENGINE_BROKE),
    (K.LLAMA_CPP_PYTHON, 422, b'{"detail":[{"loc":["body"],"msg":"field required"}]}', R.ENGINE_REFUSED),
    (K.LLAMA_CPP_PYTHON, 500, b'{"error":{"message":"[]","type":"internal_server_error","param":null,"code":null}}',
     R.ENGINE_BROKE),
    # mlx-lm
    (K.MLX_LM, 404, b'{"error": "Conversation roles must alternate"}', R.ENGINE_REFUSED),
    (K.MLX_LM, 404, b'{"error": "401 Client Error. Repository Not Found for url: https://huggingface.co/x"}',
     R.ENGINE_BROKE),
    (K.MLX_LM, 404, b"Not Found", R.ENGINE_REFUSED),
    (K.MLX_LM, 411, b'{"error": "Content-Length header is required"}', R.ENGINE_BROKE),
    # vLLM
    (K.VLLM, 400, b'{"error":{"message":"This model\'s maximum context length is 4096 tokens.","code":400}}',
     R.CONTEXT_LENGTH_EXCEEDED),
    (K.VLLM, 404, b'{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}',
     R.NO_ENGINE),
    (K.VLLM, 400, b'{"error":{"message":"bad","type":"BadRequestError","code":400}}', R.ENGINE_REFUSED),
    # Ollama
    (K.OLLAMA, 404, b'{"error":{"message":"model \'x\' not found","type":"not_found_error"}}', R.NO_ENGINE),
    (K.OLLAMA, 503, b'{"error":"server busy, please try again"}', R.ENGINE_BUSY),
    (K.OLLAMA, 403, b"", R.ENGINE_BROKE),
    (K.OLLAMA, 400, b'{"error":"input length exceeds maximum context length"}', R.CONTEXT_LENGTH_EXCEEDED),
    # LM Studio
    (K.LM_STUDIO, 400, b'{"error":"Trying to keep the first 9 tokens when context the overflows."}',
     R.CONTEXT_LENGTH_EXCEEDED),
    # Docker Model Runner: plain text
    (K.DOCKER_MODEL_RUNNER, 404, b"model not found\n", R.NO_ENGINE),
    (K.DOCKER_MODEL_RUNNER, 400, b"request too large\n", R.ENGINE_REFUSED),
    (K.DOCKER_MODEL_RUNNER, 500, b"unable to load runner: error loading model: /Users/ann/secret.gguf\n",
     R.ENGINE_BROKE),
    (K.DOCKER_MODEL_RUNNER, 503, b"installer not started\n", R.ENGINE_BUSY),
    (K.DOCKER_MODEL_RUNNER, 412, b"backend not installed\n", R.ENGINE_BROKE),
    (K.DOCKER_MODEL_RUNNER, 502, b"", R.ENGINE_BROKE),
    (K.OPENAI, 429, b'{"error":{"message":"slow down","type":"rate_limit","code":"rate"}}', R.ENGINE_BUSY),
    (K.OPENAI, 504, b"<html>", R.ENGINE_TIMEOUT),
    (K.OPENAI, 418, b"teapot", R.ENGINE_BROKE),
]  # fmt: skip


def explain(kind: Kind, status: int, body: bytes, retry_after: float | None = None) -> UpstreamError:
    return adapter_for(kind).explain(status, JSON_TYPE if body[:1] == b"{" else TEXT, body, retry_after)


@pytest.mark.parametrize(("kind", "status", "body", "reason"), CASES)
def test_an_error_answer_means(kind: Kind, status: int, body: bytes, reason: Reason) -> None:
    assert explain(kind, status, body).reason is reason


def test_the_operator_reads_status_type_and_code() -> None:
    body = b'{"error":{"message":"secret prompt","type":"BadRequestError","code":400}}'
    assert explain(K.VLLM, 400, body).detail == "status 400, type BadRequestError, code 400"
    assert explain(K.DOCKER_MODEL_RUNNER, 500, b"secret").detail == "status 500, text/plain"


@pytest.mark.parametrize("status", [401, 403, 407])
def test_an_engine_that_refuses_the_gateway_is_not_the_callers_fault(status: int) -> None:
    for kind in Kind:
        error = explain(kind, status, b"{}")
        assert isinstance(error, EngineBroke)
        assert "api_key_file" in error.detail


@pytest.mark.parametrize(("wish", "told"), [(None, 2.0), (0.0, 1.0), (7.0, 7.0), (99999.0, 300.0)])
def test_retry_after_within_reason(wish: float | None, told: float) -> None:
    assert explain(K.VLLM, 503, b"", wish).retry_after == told
    assert explain(K.VLLM, 400, b"", wish).retry_after is None


def test_slow() -> None:
    assert isinstance(explain(K.OPENAI, 408, b""), EngineTimeout)


@given(
    kind=st.sampled_from(Kind),
    status=st.integers(400, 599),
    word=st.text(min_size=1, max_size=80),
    retry=st.none() | st.floats(0, 1e6),
)
def test_no_text_of_an_engine_reaches_anybody(kind: Kind, status: int, word: str, retry: float | None) -> None:
    import orjson

    secret = "PROMPT " + word
    bodies = [secret.encode("utf-8", "replace")]
    bodies += [
        orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
        for document in (
            {"error": secret},
            {"detail": secret},
            {"error": {"message": secret, "type": secret, "code": secret}},
            {"error": [secret]},
            [secret],
        )
    ]
    for body in bodies:
        error = ADAPTERS[kind].explain(status, secret, body, retry)
        assert "PROMPT" not in error.detail + error.text + str(error.param)
        assert error.detail.isprintable()
        assert len(error.detail) < 250


@given(body=st.binary(max_size=200), status=st.integers(100, 700))
def test_any_bytes_are_explained(body: bytes, status: int) -> None:
    for adapter in ADAPTERS.values():
        assert isinstance(adapter.explain(status, "", body, None), UpstreamError)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_stream_without_a_byte_is_a_failure_that_only_one_engine_explains(kind: Kind) -> None:
    """llama-cpp-python has said 200 before it looks at the prompt."""
    silent = adapter_for(kind).silent(chat())
    assert silent.reason is (R.CONTEXT_LENGTH_EXCEEDED if kind is K.LLAMA_CPP_PYTHON else R.ENGINE_BROKE)
    unwilling = adapter_for(kind).silent(chat(logprobs=True))
    assert unwilling.reason is (R.ENGINE_REFUSED if kind is K.LLAMA_CPP_PYTHON else R.ENGINE_BROKE)
