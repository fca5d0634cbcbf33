"""Models that are not fetched or deleted: what callers may not ask for, what fails, who leaves."""

from __future__ import annotations

import json

import pytest

from engines.contract import Kind
from policies.json import Object, as_str
from tests.system.calls import assert_leaving_is_noticed
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Reset, Send, chunk, head
from tests.system.stocked_engine import SECRET, A
from tests.system.stocking import ALL, DIALECTS, ENGINES, Places, reason, told
from tests.system.wire import compose

OLLAMA, RUNNER = Kind.OLLAMA, Kind.DOCKER_MODEL_RUNNER


@pytest.mark.parametrize(
    ("status", "expected"),
    [(409, (409, "model_in_use")), (404, (403, "model_not_permitted")), (500, (502, "engine_broke"))],
)
@DIALECTS
def test_an_engine_that_does_not_delete_is_heard_but_not_quoted(
    place: Places, dialect: str, status: int, expected: tuple[int, str]
) -> None:
    here = place(RUNNER, "tiny")
    here.stocked.refuses = status
    answer = here.delete(dialect, "tiny")
    assert (answer.status, reason(answer)) == expected
    assert SECRET.encode() not in answer.raw


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("hf.co/org/repo", "registry_not_permitted"),
        ("10.0.0.5:5000/x/y", "registry_not_permitted"),
        ("localhost/x", "registry_not_permitted"),
        ("box/team/model", "registry_not_permitted"),
        ("gpt-oss:120b-cloud", "model_not_permitted"),
        ("http://10.0.0.5/x", "invalid_parameter"),
        ("../x", "invalid_parameter"),
    ],
)
@DIALECTS
def test_no_caller_sends_an_engine_anywhere(place: Places, dialect: str, model: str, code: str) -> None:
    here = place(OLLAMA)
    assert reason(here.pull(dialect, model)) == code
    assert here.engine.requests == []


def test_a_registry_that_is_configured_is_gone_to(place: Places) -> None:
    here = place(RUNNER, models={"pull": {"registries": ["huggingface.co"]}})
    assert told(here.pull("model-runner", "hf.co/Org/Repo:Q4"))[-1]["type"] == "success"
    assert here.engine.request().document == {"from": "hf.co/org/repo:Q4"}
    assert reason(here.pull("model-runner", "ghcr.io/org/repo")) == "registry_not_permitted"


def test_what_a_caller_may_not_bring_along(place: Places) -> None:
    here = place(RUNNER, "tiny")
    answer = here.pull("model-runner", "new", **{"bearer-token": "hf_verysecret"})
    assert answer.head.get("x-llm-gateway-ignored") == "bearer-token"
    assert b"hf_verysecret" not in here.engine.request().raw
    assert "hf_verysecret" not in here.gateway.logged()
    unsafe = here.pull("ollama", "new2", insecure=True)
    assert (unsafe.status, reason(unsafe)) == (400, "invalid_parameter")
    with here.gateway.open() as wire:
        forced = wire.ask(compose("DELETE", "/models/tiny?force=true", here.writer.bearer))
    assert (forced.status, reason(forced)) == (400, "invalid_parameter")
    with here.gateway.open() as wire:
        purged = wire.ask(compose("DELETE", "/models/purge", here.writer.bearer))
    assert (purged.status, reason(purged)) == (404, "unknown_route")
    remote = here.gateway.get("/models/tiny?remote=true", here.writer.bearer)
    assert (remote.status, reason(remote)) == (400, "invalid_parameter")
    assert len(here.engine.requests) == 1
    with here.gateway.open() as wire:
        calm = wire.ask(compose("DELETE", "/models/tiny?force=false", here.writer.bearer))
    assert calm.status == 200
    assert here.engine.request(1).path == "/models/tiny"


@ENGINES
@DIALECTS
@pytest.mark.parametrize("stream", [True, False])
def test_what_fails_before_the_first_layer_has_its_status(
    place: Places, kind: Kind, dialect: str, *, stream: bool
) -> None:
    here = place(kind)
    extra: Object = {} if dialect == "model-runner" else {"stream": stream}
    missing = here.stocked.failing(f"{SECRET}: file does not exist")
    stories: list[tuple[list[Object], int, tuple[int, str]]] = [
        ([missing], 200, (404, "model_not_in_registry")),
        ([missing], 404, (404, "model_not_in_registry")),
        ([], 401, (404, "model_not_in_registry"))
        if kind is RUNNER
        else ([missing], 500, (404, "model_not_in_registry")),
        ([here.stocked.failing(SECRET)], 200, (502, "engine_broke")),
        ([], 500, (502, "engine_broke")),
        ([], 200, (502, "engine_broke")),
    ]
    for story, status, expected in stories:
        here.stocked.story, here.stocked.status = story, status
        if status == 401:
            here.stocked.story = [here.stocked.failing("Unauthorized")]
        answer = here.pull(dialect, "nothere", **extra)
        assert (answer.status, reason(answer)) == expected
        assert SECRET.encode() not in answer.raw
        assert (answer.head.get("content-type") == "application/json") == (dialect == "ollama")
    assert here.names() == []


@ENGINES
@DIALECTS
def test_what_fails_afterwards_is_the_last_line(place: Places, kind: Kind, dialect: str) -> None:
    here = place(kind)
    for last in ([here.stocked.failing(SECRET)], []):
        here.stocked.story = [here.stocked.layer(A, 1, 2), *last]
        answer = here.pull(dialect, "tiny")
        lines = told(answer)
        text = as_str(lines[-1]["error"] if dialect == "ollama" else lines[-1]["message"])
        assert text.endswith("(engine_broke)")
        assert dialect == "ollama" or lines[-1]["type"] == "error"
        assert SECRET.encode() not in answer.raw
    here.engine.play(
        lambda _: [
            Send(head(200, "Content-Type: application/json", "Transfer-Encoding: chunked")),
            Send(chunk(json.dumps(here.stocked.layer(A, 1, 2)).encode() + b"\n")),
            Reset(),
        ]
    )
    assert "engine_broke" in str(told(here.pull(dialect, "tiny"))[-1])


@DIALECTS
def test_an_engine_that_fetches_nothing_is_said_so(
    gateway: Gateway, engine: RecordingEngine, key: Key, dialect: str
) -> None:
    writer = gateway.create_key(f"writer-{dialect}", *ALL)
    path, name = ("/api/pull", "model") if dialect == "ollama" else ("/models/create", "from")
    answer = gateway.post(path, {name: "tiny"}, writer.bearer)
    assert (answer.status, reason(answer)) == (400, "operation_not_supported")
    assert b"It takes an engine of kind ollama or docker-model-runner." in answer.body
    assert engine.requests == []


@DIALECTS
def test_what_is_being_fetched_is_not_deleted(place: Places, dialect: str) -> None:
    here = place(OLLAMA, "tiny")
    other = here.key("other", *ALL)
    here.stocked.holds = True
    with here.ask_pull(dialect, "tiny") as wire:  # an update: the engine has it all the time
        assert wire.head().status == 200
        busy = here.delete(dialect, "tiny", other)
        assert (busy.status, reason(busy)) == (409, "model_in_use")
        here.engine.release()
        assert here.engine.request().method == "POST"
    assert len(here.engine.requests) == 1


@DIALECTS
def test_a_preset_is_no_part_of_what_is_deleted(place: Places, dialect: str) -> None:
    here = place(OLLAMA, "tiny")
    bound = here.key("bound", *ALL, "--model", "other")
    for name in ("tiny@code", "Tiny@chat@code"):
        answer = here.delete(dialect, name)
        assert (answer.status, reason(answer)) == (400, "invalid_parameter")
        assert b"name the model alone" in answer.body
        refused = [here.delete(dialect, each, bound) for each in (name, "tiny", "nowhere", "nowhere@code")]
        assert {(each.status, reason(each)) for each in refused} == {(403, "model_not_permitted")}
    assert here.engine.requests == []
    assert told(here.pull(dialect, "new@code"))
    assert here.engine.request().document["model"] == "new"


@DIALECTS
def test_a_caller_that_leaves_leaves_the_engine(place: Places, dialect: str) -> None:
    here = place(OLLAMA)
    here.stocked.holds = True
    wire = here.ask_pull(dialect, "tiny")
    assert wire.head().status == 200
    assert_leaving_is_noticed(here.engine, wire)
    here.stocked.holds = False
    until(lambda: here.pull(dialect, "tiny").status == 200, 5.0, "its place is free again")


def test_few_are_fetched_at_once_and_each_caller_has_a_share(place: Places) -> None:
    here = place(OLLAMA, "tiny", models={"pull": {"at_once": 2, "per_caller": 1}})
    here.stocked.holds = True
    second, third = (here.key(name, *ALL) for name in ("second", "third"))
    with here.ask_pull("ollama", "a") as one, here.ask_pull("ollama", "b", second) as two:
        assert (one.head().status, two.head().status) == (200, 200)
        mine, others = here.pull("ollama", "c"), here.pull("ollama", "c", third)
        assert (mine.status, reason(mine)) == (others.status, reason(others)) == (429, "concurrency_exceeded")
        assert b"as this gateway fetches at once" in others.body
        assert mine.body != others.body
        assert here.chat("nowhere").status == 403, "nobody else waits for it"
        here.engine.release()
        until(lambda: "b" in here.names(), 5.0, "both are there")


def test_a_revoked_key_fetches_no_more(place: Places) -> None:
    here = place(OLLAMA)
    here.stocked.holds = True
    short = here.gateway.create_key("short", *ALL)
    with here.ask_pull("ollama", "tiny", short) as wire:
        found = wire.head()
        assert found.status == 200
        here.engine.request()
        assert here.gateway.run("keys", "revoke", short.id).code == 0
        body = b"".join(wire.blocks(found))
    assert b"(credential_revoked)" in body.splitlines()[-1]
    here.engine.gone(here.engine.request())
