"""What the engine sees: the gateway's own bytes and headers, and nothing else of the caller's."""

from __future__ import annotations

import json

import pytest

from policies.json import JSON, Object
from tests.system.calls import ASKED, CHAT, assert_constant, chat, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key
from tests.system.recording_engine import RecordingEngine, Seen
from tests.system.scripts import MODEL
from tests.system.wire import compose

CANARY = "canary-93d1f0aa"
_MAY_BE_SENT = {"host", "content-type", "content-length", "accept", "accept-encoding", "user-agent", "connection"}
_HOSTILE = (
    f"Cookie: a={CANARY}",
    f"Origin: http://{CANARY}",
    f"Referer: http://{CANARY}/",
    f"User-Agent: docker-model-cli/{CANARY}",
    f"X-Conversation-Id: {CANARY}",
    "X-Preload-Only: true",
    f"X-Request-Origin: {CANARY}",
    f"X-Request-Id: {CANARY}",
    f"X-Forwarded-For: {CANARY}",
    f"X_Other: {CANARY}",
    f"Forwarded: for={CANARY}",
    f"Via: 1.1 {CANARY}",
    f"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-{CANARY}",
    f"Keep-Alive: {CANARY}",
    "Connection: keep-alive, X-Nominated",
    f"X-Nominated: {CANARY}",
    f"TE: {CANARY}",
    f"Range: bytes=0-{CANARY}",
    f"OpenAI-Organization: {CANARY}",
    f"Accept-Language: {CANARY}",
)


def _assert_own_head(seen: Seen, engine: RecordingEngine, path: str) -> None:
    assert (seen.method, seen.path) == ("POST", path)
    names = [name for name, _ in seen.headers]
    assert len(names) == len(set(names)), names
    assert set(names) <= _MAY_BE_SENT, names
    headers = dict(seen.headers)
    assert headers["host"] == f"127.0.0.1:{engine.port}"
    assert headers["content-type"] == "application/json"
    assert headers["content-length"] == str(len(seen.body))
    assert headers.get("accept-encoding", "identity") == "identity"


def test_engine_sees_only_the_gateways_headers(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    with gateway.open() as wire:
        assert wire.ask(compose("POST", CHAT + f"?beta={CANARY}", key.bearer, *_HOSTILE, body=chat())).status == 200
    seen = engine.request()
    _assert_own_head(seen, engine, CHAT)
    assert CANARY.encode() not in seen.raw
    assert key.secret.encode() not in seen.raw
    assert key.id.encode() not in seen.raw


def test_engine_sees_the_gateways_own_serialisation(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """F2: a body that two parsers read differently cannot be told apart later, so ours is written anew."""
    message: Object = {"role": "user", "content": 'ünï 😀 " \\ / \n \u2028'}
    document: Object = {"messages": [message], "temperature": 0.5, "max_tokens": 5, "model": ASKED}
    spaced = json.dumps(document, indent=3, ensure_ascii=True).replace('"model"', '"\\u006dodel"').encode()
    with gateway.open() as wire:
        wire.send(compose("POST", CHAT, key.bearer, "Content-Type: application/json", body=spaced))
        assert wire.answer().status == 200
    seen = engine.request()
    assert b"\\u006d" not in seen.body
    assert b"   " not in seen.body
    assert {k: v for k, v in seen.document.items() if k != "stream"} == {**document, "model": MODEL}


def test_engine_gets_its_own_key_and_never_the_callers(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(engine={"api_key": "${ENGINE_KEY}"}, env={"ENGINE_KEY": "engine-secret-1"})
    key = gateway.create_key("caller")
    assert gateway.post(CHAT, chat(), key.bearer).status == 200
    assert dict(engine.request().headers)["authorization"] == "Bearer engine-secret-1"
    assert key.secret.encode() not in engine.request().raw
    assert "engine-secret-1" not in gateway.logged()


_ROUTES: dict[str, Object] = {
    "chat/completions": chat(),
    "completions": {"model": ASKED, "prompt": "hi"},
    "embeddings": {"model": ASKED, "input": ["a", "b"]},
}


@pytest.mark.parametrize("route", _ROUTES)
def test_each_route_has_one_path_on_the_engine(gateway: Gateway, engine: RecordingEngine, key: Key, route: str) -> None:
    for number, prefix in enumerate(("/v1/", "/engines/v1/", "/engines/fake/v1/")):
        assert gateway.post(prefix + route, _ROUTES[route], key.bearer).status == 200
        _assert_own_head(engine.request(number), engine, f"/v1/{route}")


_DANGEROUS: dict[str, JSON] = {
    "n_discard": -5,
    "id_slot": 0,
    "adapters": "/srv/x",
    "draft_model": "evil/model",
    "cache_salt": "mine",
    "kv_transfer_params": {},
    "chat_template": "{{ evil }}",
    "priority": -100,
    f"x_{CANARY.replace('-', '_')}": 1,
}


def test_unknown_parameters_are_dropped_and_named(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """F14: a parameter that the gateway does not know can be a memory error in the engine."""
    answer = gateway.post(CHAT, chat(**_DANGEROUS), key.bearer)
    assert answer.status == 200
    assert not set(_DANGEROUS) & set(engine.request().document)
    ignored = {name.strip() for name in (answer.head.get("x-llm-gateway-ignored") or "").split(",")}
    assert {"n_discard", "adapters"} <= ignored


def test_what_the_engine_has_nothing_for_is_named_too(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    for number, body in enumerate((chat(top_k=5, user="u", store=True), streamed(top_k=5, user="u", store=True))):
        with gateway.open() as wire:
            wire.send(compose("POST", CHAT, key.bearer, body=body))
            assert wire.head().get("x-llm-gateway-ignored") == "store, top_k"
        assert "top_k" not in engine.request(number).document


def test_an_engine_gets_one_system_message(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    turns: list[JSON] = [{"role": "developer", "content": "a"}, {"role": "user", "content": "hi"}]
    late: JSON = {"role": "system", "content": "b"}
    assert gateway.post(CHAT, {"model": ASKED, "messages": [*turns, late]}, key.bearer).status == 200
    assert engine.request().document["messages"] == [{"role": "system", "content": "a\n\nb"}, turns[1]]


def test_nothing_is_said_to_be_ignored_when_nothing_was(gateway: Gateway, key: Key) -> None:
    assert gateway.post(CHAT, chat(), key.bearer).head.get("x-llm-gateway-ignored") is None


def test_strict_listener_refuses_unknown_parameters(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listener={"strict": True})
    key = gateway.create_key("caller")
    answer = gateway.post(CHAT, chat(**{CANARY: 1}), key.bearer)
    assert answer.status == 400
    assert answer.error["code"] == "unknown_parameter"
    assert_constant(answer, CANARY)
    assert engine.requests == []


def test_usage_is_forced_upstream(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """Rule 3 of facts/engines.md: the whole object is replaced, or mlx_lm raises KeyError."""
    variants: tuple[Object, ...] = ({}, {"include_usage": False}, {"include_usage": True})
    for options in variants:
        body = streamed(stream_options=options) if options else streamed()
        assert gateway.post(CHAT, body, key.bearer).status == 200
    assert [seen.document["stream_options"] for seen in engine.requests] == [{"include_usage": True}] * 3


def test_callers_do_not_share_connections_state(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    """F8: what one answer sets (cookies) must not come with the next request."""
    other = gateway.create_key("second-caller")
    assert gateway.post(CHAT, chat(), key.bearer).status == 200
    assert gateway.post(CHAT, chat(), other.bearer).status == 200
    assert dict(engine.request(0).headers).keys() == dict(engine.request(1).headers).keys()
