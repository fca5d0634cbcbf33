"""Counting a prompt with the engine's own tokenizer: recorded requests and answers (facts/engines.md 2.1, 2.4)."""

from __future__ import annotations

import orjson
import pytest

from engines.adapters.registry import adapter_for
from engines.contract import Kind
from policies.call import Call, Dialect, Operation
from policies.json import JSON, Object
from tests.engines.adapters.calls import target

_TOOLS: list[JSON] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
_BODY: Object = {"messages": [{"role": "user", "content": "hi"}], "tools": _TOOLS, "temperature": 1, "stop": ["x"]}
_CHAT = Call(Operation.CHAT, Dialect.OPENAI, "m", body=_BODY, max_tokens=5)


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        (
            Kind.LLAMA_SERVER,
            "/v1/chat/completions/input_tokens",
            {"object": "response.input_tokens", "input_tokens": 9},
        ),
        (Kind.DOCKER_MODEL_RUNNER, "/anthropic/v1/messages/count_tokens", {"input_tokens": 9}),
        (Kind.VLLM, "/tokenize", {"count": 9, "max_model_len": 4096, "tokens": [1] * 9}),
    ],
)
def test_engines_that_count_prompts_are_asked_with_what_the_template_sees(
    kind: Kind, path: str, answer: Object
) -> None:
    adapter = adapter_for(kind)
    request = adapter.count_prompt(_CHAT, target(kind))
    assert request is not None
    assert (request.method, request.path) == ("POST", path)
    body = orjson.loads(request.body)
    assert body.keys() == {"model", "messages", "tools"}
    assert body["model"] == "Own/Id:1"
    assert adapter.counted(answer) == 9


def test_nobody_else_is_asked_and_nothing_but_chats_is_counted() -> None:
    silent = {kind for kind in Kind if adapter_for(kind).count_prompt(_CHAT, target(kind)) is None}
    assert silent == set(Kind) - {Kind.LLAMA_SERVER, Kind.VLLM, Kind.DOCKER_MODEL_RUNNER}
    plain = Call(Operation.COMPLETIONS, Dialect.OPENAI, "m", body={"prompt": "hi"})
    assert adapter_for(Kind.VLLM).count_prompt(plain, target(Kind.VLLM)) is None


def test_an_answer_without_a_count_is_none() -> None:
    answers: tuple[JSON, ...] = (None, [], {}, {"count": "9"}, {"count": -1})
    for odd in answers:
        assert adapter_for(Kind.VLLM).counted(odd) is None
