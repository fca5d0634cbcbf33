"""Models that callers have fetched and deleted: what the engine is asked, what the caller is told, who may."""

from __future__ import annotations

import json

import pytest

from engines.contract import Kind
from policies.json import Object, as_object, as_str
from tests.system.calls import CHAT
from tests.system.process import until
from tests.system.stocked_engine import A, B
from tests.system.stocking import ALL, DIALECTS, ENGINES, Places, reason, told
from tests.system.wire import compose

OLLAMA, RUNNER = Kind.OLLAMA, Kind.DOCKER_MODEL_RUNNER


@ENGINES
@DIALECTS
def test_a_model_is_fetched_with_word_of_how_far_and_is_there_at_once(place: Places, kind: Kind, dialect: str) -> None:
    here = place(kind)
    answer = here.pull(dialect, "ai/NewModel:3B-Q4")
    lines = told(answer)
    if dialect == "ollama":
        assert answer.head.get("content-type") == "application/x-ndjson"
        assert lines == [
            {"status": "pulling manifest"},
            {"status": "pulling " + "a" * 12, "digest": A, "total": 60, "completed": 10},
            {"status": "pulling " + "a" * 12, "digest": A, "total": 60, "completed": 60},
            {"status": "pulling " + "b" * 12, "digest": B, "total": 40, "completed": 40},
            {"status": "success"},
        ]
    else:
        assert answer.head.get("content-type") == "application/json"
        assert [line["type"] for line in lines] == ["progress"] * 3 + ["success"]
        assert [line["layer"] for line in lines[:3]] == [
            {"id": A, "size": 60, "current": 10},
            {"id": A, "size": 60, "current": 60},
            {"id": B, "size": 40, "current": 40},
        ]
        assert lines[2]["total"] == 100
    seen = here.engine.request()
    if kind is OLLAMA:
        assert (seen.path, seen.document) == ("/api/pull", {"model": "NewModel:3B-Q4", "stream": True})
    else:
        assert (seen.path, seen.document) == ("/models/create", {"from": "newmodel:3B-Q4"})
        assert ("accept", "application/json") in seen.headers
    assert here.writer.secret.encode() not in seen.raw
    assert here.chat("newmodel:3b-q4").status == 200, "there at once"


@ENGINES
def test_the_answer_can_come_as_a_whole(place: Places, kind: Kind) -> None:
    here = place(kind)
    answer = here.pull("ollama", "tiny", stream=False)
    assert (answer.status, answer.json()) == (200, {"status": "success"})
    assert answer.head.get("content-type") == "application/json"
    assert here.names() == ["tiny"]


@DIALECTS
def test_it_takes_a_scope_of_its_own(place: Places, dialect: str) -> None:
    here = place(OLLAMA, "tiny")
    for name, scopes in (("plain", ()), ("boss", ("--scope", "admin", "--scope", "inference"))):
        key = here.key(name, *scopes)
        for model in ("tiny", "nowhere"):
            for answer in (here.pull(dialect, model, key), here.delete(dialect, model, key)):
                assert (answer.status, reason(answer)) == (403, "scope_missing")
    assert here.engine.requests == []


@DIALECTS
def test_a_model_that_a_key_may_not_use_it_may_not_change_either(place: Places, dialect: str) -> None:
    """However it is spelt, and whether or not there is one: the same words."""
    here = place(OLLAMA, "secret", "qwen3")
    key = here.key("narrow", *ALL, "--model", "qwen*")
    refusals = [
        answer
        for model in ("secret", "SECRET:latest", "ai/secret", "nowhere", "hf.co/qwen/qwen3")
        for answer in (here.pull(dialect, model, key), here.delete(dialect, model, key))
    ]
    assert {(answer.status, answer.body) for answer in refusals} == {(403, refusals[0].body)}
    assert reason(refusals[0]) == "model_not_permitted"
    assert here.delete(dialect, "qwen-nowhere", key).body == refusals[0].body, "permitted, and not there"
    assert here.engine.requests == []
    assert here.pull(dialect, "ai/Qwen3:latest", key).status == 200
    assert here.engine.request().document["model"] == "Qwen3"


@ENGINES
@DIALECTS
def test_a_model_is_deleted_and_gone_at_once(place: Places, kind: Kind, dialect: str) -> None:
    here = place(kind, "ai/tiny:latest", "other")
    answer = here.delete(dialect, "Tiny")
    assert answer.status == 200, answer
    if dialect == "ollama":
        assert answer.body == b""
    else:
        assert json.loads(answer.body) == [{"Untagged": "Tiny"}]
    seen = here.engine.request()
    if kind is OLLAMA:
        assert (seen.method, seen.path, seen.document) == ("DELETE", "/api/delete", {"model": "ai/tiny:latest"})
    else:
        assert (seen.method, seen.path, seen.body) == ("DELETE", "/models/ai/tiny:latest", b"")
    assert here.names() == ["other"]
    assert here.chat("tiny").status == 403
    assert reason(here.delete(dialect, "tiny")) == "model_not_permitted"


@ENGINES
def test_a_model_that_answers_is_not_deleted(place: Places, kind: Kind) -> None:
    here = place(kind, "tiny")
    here.stocked.holds = True
    with here.gateway.open() as wire:
        asked: Object = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
        wire.send(compose("POST", CHAT, here.writer.bearer, body=asked))
        here.engine.request()
        for dialect in ("ollama", "model-runner"):
            answer = here.delete(dialect, "tiny")
            assert (answer.status, reason(answer)) == (409, "model_in_use")
            assert answer.head.get("x-should-retry") == "false"
        here.engine.release()
        assert wire.answer().status == 200
    assert [seen.method for seen in here.engine.requests] == ["POST"]
    until(lambda: here.delete("ollama", "tiny").status == 200, 5.0, "it can be deleted afterwards")


@DIALECTS
def test_it_is_recorded_like_any_request(place: Places, dialect: str) -> None:
    here = place(OLLAMA, limits={"rules": [{"name": "few", "per": "key", "requests": {"hour": 2}}]})
    pulled = here.pull(dialect, "ai/Tiny")
    told(pulled)
    line = here.gateway.access_line(as_str(pulled.head.get("x-request-id")))
    wanted: Object = {"operation": "models.pull", "dialect": dialect, "model": "tiny", "engine": "box", "status": 200}
    assert {name: line[name] for name in wanted} == wanted
    assert line["requested_model"] == "ai/Tiny"
    here.stocked.story = [here.stocked.failing("not found")]
    failed = here.pull(dialect, "nothere")
    line = here.gateway.access_line(as_str(failed.head.get("x-request-id")))
    assert (line["status"], line["reason"], line["requested_model"]) == (404, "model_not_in_registry", "nothere")
    assert "model" not in line, "a name that anybody can make up"
    over = here.delete(dialect, "tiny")
    assert (over.status, reason(over)) == (429, "rate_limit_exceeded")
    assert failed.head.get("x-ratelimit-remaining-requests") == "0"
    usage = here.gateway.run("usage", "--by", "model", "--json")
    assert usage.code == 0
    requests = {row["model"]: row["requests"] for row in map(as_object, json.loads(usage.out))}
    assert requests == {"tiny": 1, "": 1}


def test_what_a_policy_captures_it_captures_here_too(place: Places) -> None:
    grant: Object = {
        "id": "g", "everyone": True, "models": ["*"], "operations": ["models.pull", "models.list"],
        "capture": "metadata", "audit": True, "headers": {"x-policy": "yes"},
    }  # fmt: skip
    here = place(OLLAMA, policy={"grants": [grant]})
    answer = here.pull("ollama", "tiny")
    told(answer)
    assert answer.head.get("x-llm-gateway-capture") == "metadata"
    assert answer.head.get("x-policy") == "yes"


def test_model_runners_own_listing_shows_what_the_caller_may_use(place: Places) -> None:
    here = place(RUNNER, "docker.io/ai/tiny:latest", "secret")
    narrow = here.key("narrow", "--model", "tiny")
    listed = json.loads(here.gateway.get("/models", narrow.bearer).body)
    assert [each["tags"] for each in listed] == [["docker.io/ai/tiny:latest"]]
    shown = here.gateway.get("/models/ai%2Ftiny", narrow.bearer).json()
    assert (shown["tags"], shown["id"]) == (["ai/tiny"], listed[0]["id"])
    hidden, missing = (here.gateway.get(f"/models/{name}", narrow.bearer) for name in ("secret", "nowhere"))
    assert (hidden.status, hidden.body) == (missing.status, missing.body)
    assert hidden.head.get("content-type") == "text/plain; charset=utf-8"
    stranger = here.gateway.get("/models")
    assert (stranger.status, reason(stranger)) == (401, "missing_credential")


@pytest.mark.parametrize("engine_name", ["box", "llama.cpp", "vllm"])
def test_a_backends_name_in_the_path_means_any_model_runner(place: Places, engine_name: str) -> None:
    here = place(RUNNER, "tiny")
    asked: Object = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for path in ("chat/completions", "messages"):
        answer = here.gateway.post(f"/engines/{engine_name}/v1/{path}", asked, here.writer.bearer)
        assert answer.status == 200, answer
    assert here.gateway.post("/engines/ollama/v1/messages", asked, here.writer.bearer).status == 503
