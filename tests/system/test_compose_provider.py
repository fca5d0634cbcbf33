"""The provider beside a real gateway: keys that work, models that are fetched, and what is said of it all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import pytest

from policies.json import JSON, Object, as_list, as_object
from tests.system.calls import CHAT, assert_error_event, chat, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, run, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import MODEL, PRIVATE_MODEL, Hold, Stream, always
from tests.system.wire import compose, loads

OLLAMA: Final = {"name": "ollama", "kind": "ollama"}


@dataclass(frozen=True, slots=True)
class Told:
    """What the provider said."""

    code: int
    infos: list[str]
    errors: list[str]
    prefixed: dict[str, str]
    raw: dict[str, str]

    @property
    def key(self) -> Key:
        text = self.prefixed["API_KEY"]
        return Key(text.split("_")[1], text)


def provider(gateway: Gateway, *arguments: str, project: str = "shop", **env: str) -> Told:
    """`llm-gateway compose ...` as Compose calls it."""
    ended = run("compose", f"--project-name={project}", *arguments, env={**os.environ, **gateway.environment, **env})
    lines = [loads(line) for line in ended.out.splitlines()]

    def of(kind: str) -> list[str]:
        return [str(line["message"]) for line in lines if line["type"] == kind]

    def variables(kind: str) -> dict[str, str]:
        return {name: value for name, _, value in (text.partition("=") for text in of(kind))}

    return Told(ended.code, of("info"), of("error"), variables("setenv"), variables("rawsetenv"))


def keys(gateway: Gateway) -> list[Object]:
    listed = gateway.run("keys", "list", "--json")
    assert listed.code == 0, listed.err
    return [as_object(each) for each in json.loads(listed.out)]


def alive(gateway: Gateway) -> set[str]:
    return {str(key["name"]) for key in keys(gateway) if key["status"] == "active"} - {"first", "shared"}


def test_up_use_and_down(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch()
    told = provider(
        gateway, "up", f"--model={MODEL}", "--rpm=7", "--tpd=5000", "--priority=batch", "--preset=code", "llm"
    )
    assert (told.code, told.errors) == (0, [])
    url = f"http://host.docker.internal:{gateway.address[1]}/v1"
    assert told.prefixed == {"URL": url, "BASE_URL": url, "MODEL": MODEL, "API_KEY": told.key.secret}
    assert told.raw == {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": told.key.secret}
    assert told.infos[-1] == f"key shop/llm for {MODEL}: 7 requests a minute, 5000 tokens a day, preset code"
    assert gateway.post(CHAT, chat(), told.key.bearer).status == 200, "it works at once"
    assert gateway.post(CHAT, {**chat(), "model": PRIVATE_MODEL}, told.key.bearer).status == 403
    me = loads(gateway.get("/v1/me", told.key.bearer).body)
    assert (me["id"], me["name"], as_object(me["limits"])["rpm"]) == ("compose:shop", "shop/llm", 7)
    assert me["preset"] == "code"
    assert alive(gateway) == {"shop/llm"}, "the key that it used for itself is gone"
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(gateway, told.key) as wire:
        stream = wire.events(wire.head())
        found = [next(stream), next(stream)]
        assert provider(gateway, "down", "llm").infos == ["key revoked"]
        found.extend(event for event in stream if event.data)
        assert assert_error_event(found, "no such text")["code"] == "credential_revoked"
    assert gateway.post(CHAT, chat(), told.key.bearer).status == 401
    assert told.key.secret not in gateway.logged()


def test_up_again_changes_nothing_but_limits_and_two_stacks_share_nothing(gateway: Gateway) -> None:
    first = provider(gateway, "up", f"--model={MODEL}", "--rpm=7", "llm", project="one")
    again = provider(gateway, "up", f"--model={MODEL}", "--rpm=8", "llm", project="one")
    other = provider(gateway, "up", f"--model={MODEL}", "llm", project="two")
    try:
        assert (first.prefixed, first.raw) == (again.prefixed, again.raw), "else Compose makes containers anew"
        assert as_object(loads(gateway.get("/v1/me", first.key.bearer).body)["limits"])["rpm"] == 8
        assert other.key.id != first.key.id
        assert provider(gateway, "down", "llm", project="one").code == 0
        until(lambda: gateway.get("/v1/me", first.key.bearer).status == 401, 3.0, "the first is over")
        assert gateway.get("/v1/me", other.key.bearer).status == 200
    finally:
        provider(gateway, "down", "llm", project="two")


def test_options_choose_address_models_and_variables(gateway: Gateway) -> None:
    options = (f"--model={MODEL}", f"--model={PRIVATE_MODEL}", "--url=http://llm-gateway:8080/v1", "--openai_env=false")
    told = provider(gateway, "up", *options, "llm", project="three")
    try:
        assert (told.prefixed["URL"], told.prefixed["MODEL"], told.raw) == ("http://llm-gateway:8080/v1", MODEL, {})
        assert gateway.post(CHAT, {**chat(), "model": PRIVATE_MODEL}, told.key.bearer).status == 200
    finally:
        provider(gateway, "down", "llm", project="three")


def test_a_model_may_be_asked_for_by_an_alias_and_the_key_is_for_what_it_means(launch: Launch) -> None:
    gateway = launch(models={"aliases": {"gpt-4o-mini": MODEL}})
    told = provider(gateway, "up", "--model=gpt-4o-mini", "llm")
    assert (told.code, told.errors, told.prefixed["MODEL"]) == (0, [], "gpt-4o-mini")
    for name, status in (("gpt-4o-mini", 200), (MODEL, 200), (PRIVATE_MODEL, 403)):
        assert gateway.post(CHAT, {**chat(), "model": name}, told.key.bearer).status == status
    (key,) = [each for each in keys(gateway) if each["name"] == "shop/llm"]
    assert key["models"] == [MODEL.lower()], "by the canonical name"


def test_a_model_may_be_asked_for_with_a_preset(launch: Launch, engine: RecordingEngine) -> None:
    named = f"{MODEL}@code"
    gateway = launch()
    told = provider(gateway, "up", f"--model={named}", "llm")
    assert (told.code, told.errors, told.prefixed["MODEL"]) == (0, [], named)
    answer = gateway.post(CHAT, {**chat(), "model": named}, told.key.bearer)
    assert (answer.status, answer.head.get("x-llm-gateway-preset")) == (200, "code")
    (key,) = [each for each in keys(gateway) if each["name"] == "shop/llm"]
    assert key["models"] == [MODEL.lower()], "with another preset, or with none, it is the same model"


def test_a_model_that_is_nowhere_fails_and_leaves_the_key_of_before_as_it_was(gateway: Gateway) -> None:
    missing = provider(gateway, "up", "--model=nowhere", "llm", project="four")
    assert (missing.code, missing.prefixed) == (1, {})
    assert missing.errors == ["model nowhere: no engine has it (`pull: true` has an engine fetch it)"]
    assert "four/llm" not in alive(gateway)
    unable = provider(gateway, "up", "--model=nowhere", "--pull=true", "llm", project="four")
    assert "none that is up fetches it" in unable.errors[0]
    told = provider(gateway, "up", f"--model={MODEL}", "llm", project="four")
    assert provider(gateway, "up", "--model=nowhere", "llm", project="four").code == 1
    assert gateway.get("/v1/me", told.key.bearer).status == 200
    provider(gateway, "down", "llm", project="four")


def test_a_policy_that_says_no_is_told_and_the_key_taken_back(launch: Launch) -> None:
    grants: list[JSON] = [
        {"id": "others", "models": ["*"], "users": ["somebody"]},
        {"id": "all", "models": [PRIVATE_MODEL], "everyone": True},
    ]
    gateway = launch(policy={"grants": grants})
    told = provider(gateway, "up", f"--model={PRIVATE_MODEL}@chat", f"--model={MODEL}@code", "llm")
    assert told.code == 1
    assert f"policy does not let this stack use {MODEL}@code (" in told.errors[0]
    assert alive(gateway) == set()
    assert provider(gateway, "up", f"--model={MODEL}", "--check=false", "llm").code == 0


def test_a_gateway_elsewhere_is_asked_with_the_key_of_the_environment(gateway: Gateway, tmp_path: object) -> None:
    boss = gateway.create_key("boss", "--scope", "admin")
    plain = gateway.create_key("plain")
    away = {"LLM_GATEWAY_ADMIN_URL": f"http://127.0.0.1:{gateway.admin[1]}", "LLM_GATEWAY_HOME": str(tmp_path)}
    told = provider(gateway, "up", f"--model={MODEL}", "llm", project="five", LLM_GATEWAY_ADMIN_KEY=boss.secret, **away)
    assert (told.code, told.errors) == (0, [])
    assert gateway.post(CHAT, chat(), told.key.bearer).status == 200
    refused = provider(gateway, "down", "llm", project="five", LLM_GATEWAY_ADMIN_KEY=plain.secret, **away)
    assert refused.code == 1
    assert "needs scope admin" in refused.errors[0]
    down = provider(gateway, "down", "llm", project="five", LLM_GATEWAY_ADMIN_KEY=boss.secret, **away)
    assert down.infos == ["key revoked"]
    until(lambda: gateway.get("/v1/me", told.key.bearer).status == 401, 3.0, "it is over")


def test_down_works_while_no_gateway_runs(launch: Launch) -> None:
    gateway = launch()
    told = provider(gateway, "up", f"--model={MODEL}", "llm")
    assert gateway.stop() == 0
    late = provider(gateway, "up", f"--model={MODEL}", "llm")
    assert (late.code, "no gateway answers" in late.errors[0]) == (1, True)
    assert provider(gateway, "down", "llm").infos == ["key revoked"]
    gateway.start().ready()
    assert gateway.get("/v1/me", told.key.bearer).status == 401


# -- fetching a model ------------------------------------------------------------------------------------------------


@dataclass
class Shelf:
    """What an Ollama has, and what it says while it fetches more."""

    models: list[str] = field(default_factory=list)
    story: list[Object] = field(default_factory=list)
    asked: list[Object] = field(default_factory=list)


class _Ollama(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shelf: Shelf

    def do_GET(self) -> None:
        entries: list[JSON] = [{"name": name, "model": name} for name in self.shelf.models]
        self._answer(json.dumps({"version": "0.9"} if self.path == "/api/version" else {"models": entries}).encode())

    def do_POST(self) -> None:
        asked = loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.shelf.asked.append({"path": self.path, **asked})
        if any(line.get("status") == "success" for line in self.shelf.story):
            self.shelf.models.append(str(asked["model"]))
        self._answer(b"".join(json.dumps(line).encode() + b"\n" for line in self.shelf.story))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def ollama() -> Iterator[tuple[Shelf, str]]:
    shelf = Shelf(models=["here:latest"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Ollama,), {"shelf": shelf}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield shelf, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_model_is_fetched_where_that_is_asked_for_with_word_of_how_far(
    launch: Launch, ollama: tuple[Shelf, str]
) -> None:
    shelf, url = ollama
    shelf.story = [
        {"status": "pulling manifest"},
        {"status": "pulling a", "digest": "a", "total": 100, "completed": 50},
        {"status": "pulling b", "digest": "b", "total": 100, "completed": 0},
        {"status": "pulling b", "digest": "b", "total": 100, "completed": 100},
        {"status": "success"},
    ]
    gateway = launch(engine={**OLLAMA, "url": url})
    told = provider(gateway, "up", "--model=qwen3:0.6b", "--pull=true", "llm")
    assert (told.code, told.errors) == (0, [])
    percents = [text.rpartition(": ")[2] for text in told.infos if "fetches" in text]
    assert percents == ["0%", "50%", "75%", "100%"]
    assert shelf.asked == [{"path": "/api/pull", "model": "qwen3:0.6b", "stream": True}]
    listed = loads(gateway.get("/v1/models", told.key.bearer).body)
    assert [as_object(each)["id"] for each in as_list(listed["data"])] == ["qwen3:0.6b"]


@pytest.mark.parametrize(
    ("story", "model", "complaint"),
    [
        ([{"error": "pull model manifest: file does not exist"}], "nope", "pull model manifest: file does not exist"),
        ([{"status": "pulling manifest"}], "nope", "ended without a word"),
        ([], "big:cloud", "a cloud model"),
    ],
)
def test_a_fetch_that_fails_says_why_and_makes_no_key(
    launch: Launch, ollama: tuple[Shelf, str], story: list[Object], model: str, complaint: str
) -> None:
    shelf, url = ollama
    shelf.story = story
    gateway = launch(engine={**OLLAMA, "url": url})
    told = provider(gateway, "up", f"--model={model}", "--pull=true", "llm")
    assert (told.code, told.prefixed) == (1, {})
    assert complaint in told.errors[0]
    assert alive(gateway) == set()


# -- the routes ------------------------------------------------------------------------------------------------------

GOOD: Final[Object] = {"project": "shop", "service": "llm", "models": [MODEL]}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/stacks/up", {**GOOD, "scopes": ["admin"]}, "unknown_parameter"),
        ("/stacks/up", {**GOOD, "owner": "ann"}, "unknown_parameter"),
        ("/stacks/up", {**GOOD, "models": ["*"]}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "models": []}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "models": [f"m{i}" for i in range(300)]}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "rpm": 0}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "rpm": True}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "rpm": "5"}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "priority": "a b"}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "preset": "gone"}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "preset": 1}, "invalid_parameter"),
        ("/stacks/up", {**GOOD, "project": "A"}, "invalid_parameter"),
        ("/stacks/up", {"service": "llm", "models": [MODEL]}, "missing_parameter"),
        ("/stacks/up", [], "invalid_json"),
        ("/stacks/up?x=1", GOOD, "unknown_parameter"),
        ("/stacks/down", GOOD, "unknown_parameter"),
        ("/stacks/down", {"project": "shop"}, "missing_parameter"),
        ("/models/ensure", {"model": "a b"}, "invalid_parameter"),
        ("/models/ensure", {"model": "m", "pull": "yes"}, "invalid_parameter"),
        ("/models/ensure", {"model": "m", "url": "http://h"}, "unknown_parameter"),
    ],
)
def test_what_the_routes_do_not_know_they_refuse(gateway: Gateway, path: str, body: JSON, code: str) -> None:
    boss = gateway.create_key("boss", "--scope", "admin")
    with gateway.open(admin=True) as wire:
        answer = wire.ask(compose("POST", path, boss.bearer, body=body))
    assert (answer.status, answer.error["code"]) == (400, code)


@pytest.mark.parametrize("path", ["/stacks/up", "/stacks/down", "/models/ensure"])
def test_the_routes_are_for_admins(gateway: Gateway, key: Key, path: str) -> None:
    for line, status in (((), 401), ((key.bearer,), 403)):
        with gateway.open(admin=True) as wire:
            assert wire.ask(compose("POST", path, *line, body=GOOD)).status == status
