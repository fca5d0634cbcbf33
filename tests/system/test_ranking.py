"""Rerank, score and tokenize over sockets: what the engine is asked, what the caller gets, and what it is charged."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from policies.json import JSON, Object, as_list, as_object
from tests.system.calls import ASKED, assert_constant, assert_leaving_is_noticed
from tests.system.conftest import Launch
from tests.system.misbehaviour import BROKEN_ANSWERS, ERROR_SHAPES, SECRET_DETAIL
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, Asked, Hold, Send, Step, always, behave, whole
from tests.system.wire import compose

QUERY = "What is a canary?"
TEXTS: list[JSON] = ["a dog", "a bird", "a canary in a coal mine"]
RERANK: Object = {"model": ASKED, "query": QUERY, "documents": TEXTS}
SCORE: Object = {"model": ASKED, "text_1": QUERY, "text_2": TEXTS}
TOKENIZE: Object = {"model": ASKED, "prompt": "one two three"}
HI: list[JSON] = [{"role": "user", "content": "hi"}]
BODIES = {"/v1/rerank": RERANK, "/v1/score": SCORE, "/v1/tokenize": TOKENIZE}
TOKENS = 40


def judge(asked: Asked) -> Sequence[Step]:
    """Answer as the real ones do: the best first, with more than was asked for (facts/engines.md 2.1, 2.4)."""
    document, route = asked.document, asked.path.rsplit("/", 1)[-1]
    usage: Object = {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
    if route == "rerank":
        rows: list[JSON] = [
            {"index": index, "relevance_score": index - 1.5, "document": {"text": SECRET_DETAIL}}
            for index in range(len(as_list(document["documents"])))
        ]
        answer: Object = {"id": "rerank-1", "model": MODEL, "usage": usage, "results": rows[::-1]}
    elif route == "score":
        rows = [
            {"index": index, "object": "score", "score": index / 8} for index in range(len(as_list(document["text_2"])))
        ]
        answer = {"id": "score-1", "object": "list", "created": 1, "model": MODEL, "data": rows, "usage": usage}
    elif route == "tokenize":
        answer = {"tokens": [7, 8, 9], **({"count": 3, "max_model_len": 9} if "prompt" in document else {})}
    else:
        answer = {"object": "response.input_tokens", "input_tokens": 11}
    return [Send(whole(answer))]


SIGNS: dict[str, JSON] = {
    "/health": {"status": "ok"},
    "/version": {"version": "0.19.1"},
    "/": "Docker Model Runner is running",
    "/openapi.json": {"info": {"title": "llama.cpp"}, "paths": {"/extras/tokenize/count": {}}},
}
"""By what each kind is known."""


def looked_at(asked: Asked) -> Sequence[Step]:
    """Be whichever kind is asked for."""
    sign = SIGNS.get(asked.path)
    return [Send(whole(sign))] if isinstance(sign, dict | str) else behave(asked)


def serving(launch: Launch, engine: RecordingEngine, kind: str, *, limits: Object | None = None) -> tuple[Gateway, Key]:
    """A gateway before an engine of that kind."""
    engine.listing = looked_at
    gateway = launch(engine={"kind": kind}, limits=limits or {})
    return gateway, gateway.create_key("caller")


@pytest.mark.parametrize(
    ("kind", "rerank", "score"),
    [
        ("llama-server", "/v1/rerank", None),
        ("vllm", "/v1/rerank", "/v1/score"),
        ("docker-model-runner", "/engines/rerank", "/engines/score"),
    ],
)
def test_each_engine_that_can_is_asked_by_its_own_route(
    launch: Launch, engine: RecordingEngine, kind: str, rerank: str, score: str | None
) -> None:
    gateway, key = serving(launch, engine, kind)
    engine.play(*[judge] * 20)
    for prefix in ("", "/v1", "/engines", "/engines/v1", "/engines/fake", "/engines/fake/v1"):
        engine_before = len(engine.requests)
        answer = gateway.post(prefix + "/rerank", {**RERANK, "top_n": 2, "return_documents": True}, key.bearer)
        assert answer.status == 200
        assert answer.json() == {
            "object": "list",
            "model": ASKED,
            "results": [
                {"index": 2, "relevance_score": 0.5, "document": {"text": TEXTS[2]}},
                {"index": 1, "relevance_score": -0.5, "document": {"text": TEXTS[1]}},
            ],
            "usage": {"prompt_tokens": TOKENS, "total_tokens": TOKENS},
        }
        seen = engine.request(engine_before)
        assert (seen.path, seen.document) == (rerank, {"model": MODEL, "query": QUERY, "documents": TEXTS})
        assert SECRET_DETAIL.encode() not in answer.raw
        scored = gateway.post(prefix + "/score", SCORE, key.bearer)
        if score is None:
            assert scored.status == 400
            assert scored.error["code"] == "operation_not_supported"
            continue
        assert [as_object(row)["score"] for row in as_list(scored.json()["data"])] == [0.0, 0.125, 0.25]
        seen = engine.request(engine_before + 1)
        assert (seen.path, seen.document) == (score, {"model": MODEL, "text_1": QUERY, "text_2": TEXTS})


@pytest.mark.parametrize(
    ("kind", "text", "chat"),
    [
        ("llama-server", "/tokenize", "/v1/chat/completions/input_tokens"),
        ("vllm", "/tokenize", "/tokenize"),
        ("llama-cpp-python", "/extras/tokenize/count", None),
    ],
)
def test_tokens_are_counted_by_the_engine_and_their_number_alone_is_told(
    launch: Launch, engine: RecordingEngine, kind: str, text: str, chat: str | None
) -> None:
    gateway, key = serving(launch, engine, kind)
    counting = always(Send(whole({"count": 3}))) if kind == "llama-cpp-python" else judge
    engine.play(counting, judge)
    answer = gateway.post("/v1/tokenize", TOKENIZE, key.bearer)
    assert (answer.status, answer.json()) == (200, {"model": ASKED, "count": 3})
    assert engine.request().path == text
    answer = gateway.post("/engines/fake/v1/tokenize", {"model": ASKED, "messages": HI}, key.bearer)
    if chat is None:
        assert answer.status == 400
        assert "an engine of kind llama-server or vllm." in str(answer.error["message"])
        assert len(engine.requests) == 1
    else:
        assert answer.json()["count"] == (11 if kind == "llama-server" else 3)
        assert engine.request(1).path == chat


@pytest.mark.parametrize("path", BODIES)
def test_an_engine_that_cannot_is_not_asked_and_the_caller_learns_which_could(
    gateway: Gateway, engine: RecordingEngine, key: Key, path: str
) -> None:
    answer = gateway.post(path, BODIES[path], key.bearer)
    assert answer.status == 400
    assert_constant(answer, QUERY)
    assert answer.error["code"] == "operation_not_supported"
    assert f"{path.rsplit('/', 1)[-1]} needs an engine of kind" in str(answer.error["message"])
    assert engine.requests == []


@pytest.mark.parametrize("path", BODIES)
def test_permission_comes_before_what_there_is(gateway: Gateway, engine: RecordingEngine, path: str) -> None:
    narrow = gateway.create_key("narrow", "--model", "nothing-here")
    told = {
        gateway.post(path, {**BODIES[path], "model": model}, narrow.bearer).body for model in (ASKED, "no-such-model")
    }
    assert len({json.dumps(json.loads(body)["error"]) for body in told}) == 1
    assert engine.requests == []


def test_failures_are_the_engines_and_without_its_words(launch: Launch, engine: RecordingEngine) -> None:
    gateway, key = serving(launch, engine, "vllm")
    short: Object = {"results": [{"index": 0, "relevance_score": 1}]}
    odd: list[JSON] = [short, {"data": []}, {"count": "3"}, {"error": {"message": SECRET_DETAIL}}, {}]
    scripts = [*BROKEN_ANSWERS.values(), *(always(Send(whole(answer))) for answer in odd)]
    for path, body in BODIES.items():
        for script in scripts:
            engine.play(script)
            answer = gateway.post(path, body, key.bearer)
            assert answer.status in {502, 503}, (path, script)
            assert_constant(answer, SECRET_DETAIL, QUERY)
        for name, (script, statuses) in ERROR_SHAPES.items():
            engine.play(script)
            answer = gateway.post(path, body, key.bearer)
            assert answer.status in statuses, (path, name)
            assert_constant(answer, SECRET_DETAIL, QUERY)
    assert SECRET_DETAIL not in gateway.logged()


def test_an_engine_that_was_not_started_for_it(launch: Launch, engine: RecordingEngine) -> None:
    gateway, key = serving(launch, engine, "llama-server")
    refusal: Object = {"error": {"code": 501, "message": SECRET_DETAIL, "type": "not_supported_error"}}
    engine.play(always(Send(whole(refusal, 501))))
    answer = gateway.post("/v1/rerank", RERANK, key.bearer)
    assert answer.status == 400
    assert answer.head.get("x-should-retry") == "false"
    assert "--reranking" in str(answer.error["message"])


def test_a_caller_that_leaves_is_noticed(launch: Launch, engine: RecordingEngine) -> None:
    gateway, key = serving(launch, engine, "vllm")
    engine.play(always(Hold()))
    with gateway.open() as wire:
        wire.send(compose("POST", "/v1/rerank", key.bearer, body=RERANK))
        assert_leaving_is_noticed(engine, wire)


def test_what_it_took_is_in_the_access_line_and_in_the_ledger(launch: Launch, engine: RecordingEngine) -> None:
    gateway, key = serving(launch, engine, "vllm")
    engine.play(judge, judge, judge)
    for path, tokens in (("/v1/rerank", TOKENS), ("/v1/score", TOKENS), ("/v1/tokenize", 0)):
        answer = gateway.post(path, BODIES[path], key.bearer)
        line = gateway.access_line(answer.head.get("x-request-id") or "none")
        assert (line["operation"], line["dialect"], line["model"]) == (path.rsplit("/", 1)[-1], "openai", ASKED)
        assert (line["tokens_in"], line["tokens_out"], line["stream"]) == (tokens, 0, False)
        assert QUERY not in json.dumps(line)

    def used() -> tuple[JSON, JSON, JSON]:
        row = next(map(as_object, as_list(json.loads(gateway.run("usage", "--json").out))), {})
        return row.get("requests"), row.get("input_tokens"), row.get("output_tokens")

    until(lambda: used() == (3, 2 * TOKENS, 0), 5.0, "all is settled")


def test_a_limit_holds_the_query_again_for_each_document(launch: Launch, engine: RecordingEngine) -> None:
    rule: Object = {"name": "in", "per": "owner", "input": {"day": 200}, "output": {"day": 1}}
    gateway, key = serving(launch, engine, "vllm", limits={"rules": [rule]})
    engine.play(judge)
    body: Object = {**RERANK, "query": "q" * 400}
    refused = gateway.post("/v1/rerank", body, key.bearer)
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    assert engine.requests == []
    assert gateway.post("/v1/rerank", {**body, "documents": ["a"]}, key.bearer).status == 200


def test_a_grant_of_chats_is_none_of_these(launch: Launch, engine: RecordingEngine) -> None:
    grant: Object = {"id": "chats", "everyone": True, "models": ["*"], "operations": ["chat"]}
    engine.listing = looked_at
    gateway = launch(engine={"kind": "vllm"}, policy={"grants": [grant]})
    key = gateway.create_key("caller")
    for path, body in BODIES.items():
        assert gateway.post(path, body, key.bearer).status == 403
    assert engine.requests == []
