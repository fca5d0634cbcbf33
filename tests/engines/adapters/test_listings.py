"""Probes tell kinds apart; listings become models."""

from __future__ import annotations

from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dialects.writing import instant
from engines.adapters.registry import ADAPTERS, adapter_for
from engines.contract import Engine, Kind, Model
from policies.json import JSON
from policies.names import canonical, is_name

K = Kind
CONTENT = {"content-type": "application/json"}
# What each kind answers to which probe path: (headers, body).
ANSWERS: dict[Kind, dict[str, tuple[dict[str, str], bytes]]] = {
    K.DOCKER_MODEL_RUNNER: {"/": ({}, b"Docker Model Runner is running"), "/api/version": ({}, b'{"version":"0.1.0"}'),
                            "/version": ({}, b'{"version":"v1.2.6"}'),
                            "/v1/models": ({}, b'{"object":"list","data":[]}')},
    K.LLAMA_SERVER: {"/health": ({"server": "llama.cpp"}, b'{"status":"ok"}')},
    K.LLAMA_CPP_PYTHON: {"/openapi.json": ({"server": "uvicorn"}, '{"openapi":"3.1.0","info":{"title":"🦙 llama.cpp '
                         'Python API"},"paths":{"/v1/models":{},"/extras/tokenize/count":{}}}'.encode())},
    K.MLX_LM: {"/health": ({"server": "BaseHTTP/0.6 Python/3.11.7"}, b'{"status": "ok"}')},
    K.VLLM: {"/health": ({"server": "uvicorn"}, b""), "/version": ({"server": "uvicorn"}, b'{"version":"0.19.1"}'),
             "/openapi.json": ({"server": "uvicorn"}, b'{"info":{"title":"FastAPI"},"paths":{"/v1/models":{}}}')},
    K.OLLAMA: {"/": ({}, b"Ollama is running"), "/api/version": ({}, b'{"version":"0.14.0"}')},
    K.LM_STUDIO: {"/v1/models": ({"x-powered-by": "Express"}, b'{"object":"list","data":[]}')},
}  # fmt: skip
SHARED_PORT = [{K.LLAMA_SERVER, K.MLX_LM}, {K.VLLM, K.LLAMA_CPP_PYTHON}]


def answer(kind: Kind, path: str) -> tuple[int, dict[str, str], bytes]:
    headers, body = ANSWERS[kind].get(path, ({}, b'{"detail":"Not Found"}'))
    return (200 if path in ANSWERS[kind] else 404, {**CONTENT, **headers}, body)


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_a_kind_knows_its_own(kind: Kind) -> None:
    adapter = adapter_for(kind)
    status, headers, body = answer(kind, adapter.probe.path)
    assert adapter.is_mine(status, headers, body)
    assert not adapter.is_mine(503, headers, body)


@pytest.mark.parametrize("kinds", SHARED_PORT)
def test_kinds_on_one_port_are_told_apart(kinds: set[Kind]) -> None:
    for asked in kinds:
        for there in kinds - {asked}:
            assert not adapter_for(asked).is_mine(*answer(there, adapter_for(asked).probe.path))


def test_a_loading_llama_server_is_not_ready() -> None:
    body = b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    assert not adapter_for(K.LLAMA_SERVER).is_mine(503, {}, body)


@given(body=st.binary(max_size=60), server=st.text(max_size=10))
def test_any_bytes_are_judged(body: bytes, server: str) -> None:
    for adapter in ADAPTERS.values():
        assert adapter.is_mine(200, {"server": server}, body) in (True, False)


def models(kind: Kind, document: JSON, pin: str | None = None) -> list[Model]:
    return adapter_for(kind).models(document, Engine("e", kind, "http://127.0.0.1:1", 1, model=pin))


def data(*entries: JSON) -> JSON:
    return {"object": "list", "data": list(entries)}


def test_docker_model_runner() -> None:
    found = models(
        K.DOCKER_MODEL_RUNNER,
        data({"id": "ai/SmolLM2:latest", "created": 17, "dmr": {"context_window": 8192}}, {"id": "sha256:" + "a" * 64}),
    )
    assert found == [
        Model("smollm2", "ai/SmolLM2:latest", 17, 8192),
        Model("sha256:" + "a" * 64, "sha256:" + "a" * 64),
    ]


def test_llama_server_names_a_file_by_its_last_part() -> None:
    assert models(K.LLAMA_SERVER, data({"id": "/Users/ann/x/Qwen3.GGUF", "meta": {"n_ctx": 4096}})) == [
        Model("qwen3.gguf", "/Users/ann/x/Qwen3.GGUF", 0, 4096)
    ]


def test_vllm() -> None:
    assert models(K.VLLM, data({"id": "Qwen/Qwen3", "created": 1, "max_model_len": 100})) == [
        Model("qwen/qwen3", "Qwen/Qwen3", 1, 100)
    ]


def test_a_time_beyond_the_calendar_is_none() -> None:
    """Listings with dates (Anthropic's, Ollama's) failed for every caller, for one engine that writes milliseconds."""
    (model,) = models(K.VLLM, data({"id": "m", "created": 1_763_755_200_000}))
    assert model.created == 0
    (last,) = models(K.VLLM, data({"id": "m", "created": 253_402_300_799}))
    assert instant(last.created) == "9999-12-31T23:59:59Z"


def test_ollama_without_what_leaves_the_machine() -> None:
    document: JSON = {
        "models": [
            {
                "name": "Llama3:latest",
                "modified_at": "2026-01-01T00:00:00.123456789Z",
                "details": {"context_length": 9},
            },
            {"name": "gpt-oss:120b-cloud"},
            {"name": "deepseek:cloud"},
            {"name": "mine:latest", "remote_host": "https://ollama.com:443", "remote_model": "gpt-oss:120b"},
            {"name": "odd", "modified_at": "yesterday"},
        ]
    }
    assert models(K.OLLAMA, document) == [Model("llama3", "Llama3:latest", 1767225600, 9), Model("odd", "odd")]


CACHED: JSON = data({"id": "mlx-community/A-4bit"}, {"id": "mlx-community/B"})
FOLDER: JSON = data({"id": "mlx-community/A-4bit"}, {"id": "/srv/models/Tiny"})


@pytest.mark.parametrize(
    ("document", "pin", "expected"),
    [
        (CACHED, None, [("mlx-community/a-4bit", "mlx-community/A-4bit"), ("mlx-community/b", "mlx-community/B")]),
        (CACHED, "mlx-community/B", [("mlx-community/b", "mlx-community/B")]),
        ({}, "mlx-community/B", [("mlx-community/b", "mlx-community/B")]),
        (FOLDER, None, [("tiny", "default_model")]),
        (FOLDER, "shown-as", [("shown-as", "default_model")]),
        (FOLDER, "/srv/models/Tiny", [("tiny", "/srv/models/Tiny")]),
        (FOLDER, "mlx-community/A-4bit", [("mlx-community/a-4bit", "mlx-community/A-4bit")]),
        ({}, None, []),
    ],
)
def test_mlx_offers_what_cannot_make_it_load_a_stranger(
    document: JSON, pin: str | None, expected: list[tuple[str, str]]
) -> None:
    assert [(m.name, m.id) for m in models(K.MLX_LM, document, pin)] == expected


@pytest.mark.parametrize("kind", [k for k in Kind if k not in (K.MLX_LM, K.OLLAMA)])
def test_a_pin_hides_the_rest(kind: Kind) -> None:
    assert [m.id for m in models(kind, data({"id": "a"}, {"id": "b"}), "b")] == ["b"]


@pytest.mark.parametrize("identity", ["", " ", "a b", "../x/..", "a\nb", "ünï", "/", "x" * 2000, None, 7, ["a"]])
@pytest.mark.parametrize("kind", list(Kind))
def test_odd_ids_are_left_out(kind: Kind, identity: JSON) -> None:
    key = "models" if kind is K.OLLAMA else "data"
    assert models(kind, {"object": "list", key: [{"id": identity, "name": identity}, None, 3]}) == []


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("document", [None, [], {}, {"data": None}, {"data": {}}, {"models": None}, "x"])
def test_what_is_no_listing_has_no_models(kind: Kind, document: JSON) -> None:
    assert models(kind, document) == []


@given(identity=st.text(max_size=40), kind=st.sampled_from(Kind))
def test_every_model_has_a_canonical_name(identity: str, kind: Kind) -> None:
    document = {"object": "list", "data": [{"id": identity}], "models": [{"name": identity}]}
    for model in models(kind, cast("JSON", orjson.loads(orjson.dumps(document)))):
        assert is_name(model.name)
        assert canonical(model.name) == model.name
