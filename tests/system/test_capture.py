"""Capture from outside: only where the policy says so, said to the caller, and read by nobody without the right."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.json import JSON, Object, as_list, as_object, as_str
from tests.system.calls import ASKED, CHAT, chat, chunks, events_after, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import PRIVATE_MODEL, Send, Stream, always, completion, delta, whole
from tests.system.wire import Answer, loads

HEADER = "x-llm-gateway-capture"
PROMPT = "captured-prompt"
ANSWER = "captured-answer"


def grant(name: str, models: tuple[str, ...] = (ASKED,), **more: JSON) -> Object:
    return {"id": name, "groups": [name], "models": list(models), **more}


GRANTS: list[JSON] = [
    grant("plain"),
    grant("metadata", capture="metadata"),
    grant("full", capture="full"),
    grant("audited", capture="full", audit=True),
    grant("hidden", capture="full", redact=["messages", "caller.id"]),
    grant("half", ("*",)),
    grant("half", (PRIVATE_MODEL,), capture="full", operations=["chat"]) | {"id": "other-half"},
]


@pytest.fixture
def gateway(launch: Launch, engine: RecordingEngine) -> Gateway:
    return launch(policy={"grants": GRANTS, "timeout": "5s"}, telemetry={"capture": {"redact": ["KD-[0-9]{6}"]}})


def key_of(gateway: Gateway, group: str) -> Key:
    return gateway.create_key(group, "--owner", f"{group}-owner", "--group", group)


def ask(gateway: Gateway, key: Key, engine: RecordingEngine) -> Answer:
    engine.play(always(Send(whole(completion(ANSWER)))))
    return gateway.post(CHAT, chat(f"{PROMPT} KD-123456"), key.bearer)


def request_id(answer: Answer) -> str:
    return answer.head.get("x-request-id") or ""


def shown(gateway: Gateway, request: str) -> Object:
    """The capture of a request, as the command line shows it once it is written."""
    found: list[Object] = []

    def there() -> bool:
        ended = gateway.run("capture", "show", request, "--json")
        found[:] = [loads(ended.out)] if ended.code == 0 else []
        return bool(found) and found[0]["part"] == "whole"

    until(there, 15, f"the capture of {request}")
    return found[0]


def test_nothing_is_captured_unless_the_policy_says_so(gateway: Gateway, engine: RecordingEngine) -> None:
    answer = ask(gateway, key_of(gateway, "plain"), engine)
    assert (answer.status, answer.head.get(HEADER)) == (200, None)
    assert gateway.stop() == 0
    assert not (gateway.folder / "home" / "captures").exists()


def test_a_whole_answer_in_full_and_who_may_see_it(gateway: Gateway, engine: RecordingEngine) -> None:
    key = key_of(gateway, "full")
    answer = ask(gateway, key, engine)
    assert (answer.status, answer.head.get(HEADER)) == (200, "full")
    request = request_id(answer)
    found = shown(gateway, request)
    said = as_object(as_list(as_object(as_object(found["request"])["text"])["messages"])[0])
    assert said["content"] == f"{PROMPT} [redacted]"
    assert ANSWER in str(found["answer"])
    assert gateway.access_line(request)["capture"] == "full"
    ended = gateway.run("policy", "explain", request, "--config", str(gateway.file))
    assert f"llm-gateway capture show {request}" in ended.out
    readers = {
        scope: gateway.create_key("reader", "--scope", scope) for scope in ("admin", "inference", "capture:read")
    }
    for scope, each in readers.items():
        got = gateway.get(f"/capture/{request}", each.bearer, admin=True)
        assert got.status == (200 if scope == "capture:read" else 403)
        assert (PROMPT in got.body.decode()) is (scope == "capture:read")
    reader = readers["capture:read"]
    assert gateway.get(f"/capture/{request}", admin=True).status == 401
    assert gateway.get(f"/capture/{'0' * 32}", reader.bearer, admin=True).error["code"] == "not_captured"
    assert gateway.get("/policy", reader.bearer, admin=True).status in {403, 404}
    assert request in gateway.run("capture", "list").out
    assert gateway.run("capture", "purge", "--id", request).code == 1
    assert gateway.run("capture", "purge", "--id", request, "--yes").code == 0
    assert gateway.run("capture", "show", request).code == 1
    assert PROMPT not in gateway.logged()


def test_a_stream_as_the_caller_got_it_also_one_that_broke(gateway: Gateway, engine: RecordingEngine) -> None:
    key = key_of(gateway, "full")
    engine.play(Stream(chunks=[delta(content="one "), delta(content="two"), delta(finish="stop")]).script())
    with start_stream(gateway, key, PROMPT) as wire:
        head = wire.head()
        assert head.get(HEADER) == "full"
        chunks(events_after(wire, head))
    found = shown(gateway, head.get("x-request-id") or "")
    choice = as_object(as_list(as_object(as_object(found["answer"])["text"])["choices"])[0])
    assert as_object(choice["message"])["content"] == "one two"
    assert as_object(as_list(as_object(found["answer"])["choices"])[0])["chars"] == 7
    engine.when("broken", always(Send(whole({"error": {"code": "boom", "message": ANSWER}}, 500))))
    broken = gateway.post(CHAT, chat("broken"), key.bearer)
    assert (broken.status, broken.head.get(HEADER)) == (502, "full")
    found = shown(gateway, request_id(broken))
    assert found["answer"] is None
    assert as_object(found["record"])["reason"] == "engine_broke"


def test_metadata_and_hidden_fields_hold_no_words(gateway: Gateway, engine: RecordingEngine) -> None:
    answer = ask(gateway, key_of(gateway, "metadata"), engine)
    assert answer.head.get(HEADER) == "metadata"
    found = shown(gateway, request_id(answer))
    assert as_object(as_list(as_object(found["request"])["messages"])[0])["role"] == "user"
    assert PROMPT not in str(found)
    assert ANSWER not in str(found)
    hidden = shown(gateway, request_id(ask(gateway, key_of(gateway, "hidden"), engine)))
    assert PROMPT not in str(hidden)
    assert ANSWER in str(hidden)
    assert "hidden-owner" not in str(hidden)


def test_without_a_disk_only_audited_requests_wait(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(policy={"grants": GRANTS, "timeout": "5s"})
    full, audited = key_of(gateway, "full"), key_of(gateway, "audited")
    assert ask(gateway, audited, engine).status == 200
    gateway.stop()
    captures = gateway.folder / "home" / "captures"
    block(captures)
    gateway.start().ready()
    assert ask(gateway, full, engine).status == 200
    before = len(engine.requests)
    refused = ask(gateway, audited, engine)
    assert (refused.status, refused.error["code"]) == (503, "policy_unavailable")
    assert len(engine.requests) == before


def block(folder: Path) -> None:
    """Put a file where the folder was."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("")


def test_me_says_for_which_models(gateway: Gateway, engine: RecordingEngine) -> None:
    nothing = gateway.get("/v1/me", key_of(gateway, "plain").bearer).json()
    assert (nothing["capture"], nothing["captures"], nothing["captures_left_out"]) == ("none", [], 0)
    me = gateway.get("/v1/me", key_of(gateway, "half").bearer).json()
    assert me["capture"] == "full"
    (only,) = as_list(me["captures"])
    assert as_object(only)["capture"] == "full"
    assert as_str(as_object(only)["model"]).lower() == PRIVATE_MODEL.lower()
