"""Both real servers answer from the page, plainly and streaming, and call tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest

from engines.tiny import page, serve, toolbox
from tests.engines.tiny.running import Server, running

pytestmark = pytest.mark.engine

PAGE = page.read()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": SCHEMA}}]
ASK = "What is the weather in Paris?"


@pytest.fixture(scope="module")
def mlx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("mlx") / "log"
    with running(serve.mlx_lm_argv, serve.MLX_READY_PATH, serve.MLX_MODEL_NAMES[1], log) as server:
        yield server


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("llama_cpp") / "log"

    def argv(port: int) -> list[str]:
        return serve.llama_cpp_argv(port, embedding=True)

    with running(argv, serve.LLAMA_CPP_READY_PATH, serve.ALIAS, log) as server:
        yield server


@pytest.fixture(params=["mlx", "llama_cpp"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def tool_calls(message: dict[str, object]) -> list[tuple[str, Any]]:
    calls = message["tool_calls"]
    assert isinstance(calls, list)
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]


@pytest.mark.parametrize("entry", PAGE.entries[:1] + PAGE.entries[7:9], ids=lambda e: e.question)
def test_answers_from_the_page(server: Server, entry: page.Entry) -> None:
    assert server.message(entry.question)["content"] == entry.answer
    assert server.streamed(entry.question) == entry.answer


def test_whole_page(server: Server) -> None:
    """As the exam, but by the real engines with a request as bare as a client can send it."""
    answers = {e.question: server.message(e.question, temperature=0)["content"] for e in PAGE.entries}
    wrong = {e.question: answers[e.question] for e in PAGE.entries if answers[e.question] != e.answer}
    assert len(wrong) <= 0.05 * len(PAGE.entries), wrong


def test_a_stranger_is_told_what_it_knows(server: Server) -> None:
    assert server.message("What is the capital of France?", temperature=0)["content"] == PAGE.fallback.answer


def test_remembers_nothing_wrong_over_turns(server: Server) -> None:
    first, second = PAGE.entries[7], PAGE.entries[8]
    messages: list[dict[str, object]] = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": first.question},
        {"role": "assistant", "content": first.answer},
        {"role": "user", "content": second.question},
    ]
    assert server.message(messages, temperature=0)["content"] == second.answer


def test_plain_completion(server: Server) -> None:
    entry = PAGE.entries[0]
    answer = json.loads(server.post("/v1/completions", {"prompt": f"Q: {entry.question}\nA:", "temperature": 0}))
    assert entry.answer.startswith(answer["choices"][0]["text"].strip()[:16])


def test_long_and_strange_prompts_do_no_harm(server: Server) -> None:
    for prompt in ("", "ü✓🎉" * 50, "word " * 12_000):
        assert server.message(prompt, max_tokens=8)["role"] == "assistant"


def test_a_question_after_a_long_preamble(server: Server) -> None:
    entry = PAGE.entries[7]
    messages: list[dict[str, object]] = [
        {"role": "system", "content": "You are a coding agent. " * 2000},
        {"role": "user", "content": entry.question},
    ]
    assert server.message(messages, temperature=0)["content"] == entry.answer


def test_mlx_calls_a_tool_and_reports_its_answer(mlx: Server) -> None:
    message = mlx.message(ASK, tools=TOOLS)
    assert tool_calls(message) == [("get_weather", {"city": "Paris"})]
    history: list[dict[str, object]] = [
        {"role": "user", "content": ASK},
        {**message, "content": None},
        {"role": "tool", "tool_call_id": "1", "content": "18 C and sunny"},
    ]
    assert mlx.message(history, tools=TOOLS)["content"] == toolbox.LONG_ANSWER


def test_mlx_lists_only_itself(mlx: Server) -> None:
    assert [m["id"] for m in json.loads(mlx.get("/v1/models"))["data"]] == [serve.MLX_MODEL_NAMES[0]]
    assert mlx.message("hello", model=serve.MLX_MODEL_NAMES[0])["content"]


def test_mlx_downloads_nothing(mlx: Server) -> None:
    with pytest.raises(HTTPError) as refused:
        mlx.message("hello", model="someone/some-model")
    assert refused.value.code == 404
    refused.value.close()
    assert mlx.message("Hello")["content"]


def test_llama_cpp_lists_its_alias(llama_cpp: Server) -> None:
    assert [m["id"] for m in json.loads(llama_cpp.get("/v1/models"))["data"]] == [serve.ALIAS]


def test_llama_cpp_calls_the_tool_it_is_told_to(llama_cpp: Server) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    [(name, arguments)] = tool_calls(llama_cpp.message(ASK, tools=TOOLS, tool_choice=choice, temperature=0))
    assert name == "get_weather"
    assert isinstance(arguments["city"], str)  # the grammar sees to the shape; what city, the model was not taught


def test_llama_cpp_refuses_what_does_not_fit(llama_cpp: Server) -> None:
    with pytest.raises(HTTPError) as refused:
        llama_cpp.post("/v1/completions", {"prompt": "word " * 1000, "max_tokens": 8})
    assert refused.value.code == 400
    assert b"context_length_exceeded" in refused.value.read()
    refused.value.close()


def test_llama_cpp_embeds(llama_cpp: Server) -> None:
    answer = json.loads(llama_cpp.post("/v1/embeddings", {"input": ["hello", "hello", "What is a token?"]}))
    first, same, other = (item["embedding"] for item in answer["data"])
    assert len(first) == 128
    assert first == pytest.approx(same, abs=1e-4)
    assert first != pytest.approx(other, abs=1e-2)
