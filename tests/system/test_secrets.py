"""What must never be written down or passed on: credentials, prompts, answers. A canary each, sought everywhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psutil
import pytest

from policies.json import Object, as_object
from tests.system.calls import ASKED, CHAT, chat, chunks, events, start_stream
from tests.system.collector import Collector, values
from tests.system.conftest import Launch
from tests.system.misbehaviour import BROKEN_ANSWERS, BROKEN_STREAMS, ERROR_SHAPES, SECRET_DETAIL
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Send, Stream, always, completion, delta, whole
from tests.system.wire import compose

PROMPT = "canary-prompt-77ab"
ANSWER = "canary-answer-c0de"
URL = "canary-url-9e1f"
HEADER = "canary-header-31aa"
NAMES = {"gen_ai.request.model", "llm_gateway.requested_model"}
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnktand0In0.Y2FuYXJ5LWp3dC1zaWduYXR1cmU"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


@pytest.fixture
def busy(launch: Launch, engine: RecordingEngine, collector: Collector) -> tuple[Gateway, Key]:
    """A gateway that has been through everything that could make it talk, and sends all of it to `collector`."""
    gateway = launch(telemetry={"otlp": collector.url, "sample": 1, "kept_rate": 1_000})
    key = gateway.create_key("chatty")
    engine.play(
        always(Send(whole(completion(ANSWER)))), Stream(chunks=[delta(content=ANSWER), delta(finish="stop")]).script()
    )
    gateway.post(CHAT, chat(PROMPT), key.bearer)
    with start_stream(gateway, key, PROMPT) as wire:
        chunks(events(wire))
    for script in (*BROKEN_ANSWERS.values(), *(script for script, _ in ERROR_SHAPES.values())):
        engine.when(PROMPT, script)
        gateway.post(CHAT, chat(PROMPT), key.bearer)
    for script in BROKEN_STREAMS.values():
        engine.when(PROMPT, script)
        engine.release()
        with start_stream(gateway, key, PROMPT) as wire:
            wire.answer()
    _misuse(gateway, key)
    return gateway, key


def _misuse(gateway: Gateway, key: Key) -> None:
    """F5 and the like: malformed requests that carry the key where loggers look."""
    body = b'{"model":"%s","messages":"%s"' % (ASKED.encode(), PROMPT.encode())
    for request in (
        compose("GET", "/v1/models", f"Authorization: Bearer {key.secret}\x01"),
        compose("GET", "/v1/models", f"Authorization : Bearer {key.secret}"),
        compose("GET", f"/v1/models?api_key={key.secret}&x={URL}"),
        compose("GET", f"/{URL}/{key.secret}", key.bearer),
        compose("GET", f"/v1/models/{URL}", key.bearer),
        compose("POST", CHAT, key.bearer, "Content-Type: application/json", body=body),
        compose("POST", CHAT, key.bearer, body={**chat(PROMPT), "model": PROMPT}),
        compose("POST", CHAT, f"Authorization: Bearer {key.secret[:-1]}!", body=chat(PROMPT)),
        compose("POST", CHAT, key.bearer, f"User-Agent: {HEADER}", f"Cookie: {HEADER}", body=chat("plain")),
        compose("BREW", f"/{URL}", key.bearer),
        f"GET /v1/models {key.secret} {URL}\r\n\r\n".encode(),
        f"Bearer {key.secret}\r\n\r\n".encode(),
        compose("GET", "/v1/models", f"Authorization: Bearer {JWT}"),
        compose("POST", CHAT, f"x-api-key: {JWT}", body=chat(PROMPT)),
        compose("POST", CHAT, key.bearer, body={**chat(PROMPT), "model": JWT}),
        compose("POST", f"{CHAT}?token={JWT}&x={URL}", key.bearer, f"Cookie: a={JWT}", body=chat("plain")),
        compose("GET", f"/v1/me?{URL}", f"Cookie: session={HEADER}", f"Referer: http://x/?{URL}", key.bearer),
    ):
        with gateway.open() as wire:
            wire.ask(request)


def test_nothing_secret_is_logged_or_stored(busy: tuple[Gateway, Key], engine: RecordingEngine) -> None:
    gateway, key = busy
    secret = key.secret.removeprefix(f"lgw_{key.id}_")
    metrics = _metrics(gateway)
    for place in (metrics, *_command_lines(gateway)):
        for canary in (secret, PROMPT, ANSWER, URL, HEADER, SECRET_DETAIL, JWT):
            assert canary not in place, canary
    assert gateway.stop() == 0
    logged = gateway.logged()
    for canary in (secret, key.secret, ANSWER, URL, HEADER, SECRET_DETAIL, JWT, JWT.split(".")[1], "Traceback"):
        assert canary not in logged, canary
    # A caller may write anything into `model`; a name that passes as one may stand in the access line.
    assert PROMPT not in "\n".join(line for line in logged.split("\n") if f'"requested_model":"{PROMPT}"' not in line)
    for file in gateway.folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file
            # As above, for the decision log.
            named = b'"requested":"%s"' % PROMPT.encode()
            lines = (line for line in file.read_bytes().split(b"\n") if named not in line)
            assert PROMPT.encode() not in b"\n".join(lines), file


def test_metrics_hold_nothing_secret_either(busy: tuple[Gateway, Key]) -> None:
    """Nor the name of a model that does not exist: unlike a line, a series stays for as long as the process."""
    gateway, key = busy
    scraper = gateway.create_key("scraper", "--scope", "metrics:read")
    page = gateway.get("/metrics", scraper.bearer, admin=True)
    assert page.status == 200
    assert b'llm_gateway_caller="chatty"' in page.body
    secrets = (each.secret.rsplit("_", 1)[1] for each in (key, scraper))
    for canary in (*secrets, key.id, PROMPT, ANSWER, URL, HEADER, SECRET_DETAIL):
        assert canary.encode() not in page.body, canary


def test_nothing_secret_is_sent_to_a_collector(busy: tuple[Gateway, Key], collector: Collector) -> None:
    gateway, key = busy
    assert gateway.stop() == 0
    assert {each.path for each in collector.posted} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    sent = b"".join(each.body for each in collector.posted)
    for canary in (key.secret.rsplit("_", 1)[1], ANSWER, URL, HEADER, SECRET_DETAIL, JWT, JWT.split(".")[1]):
        assert canary.encode() not in sent, canary
    # As in the access line: what passes as a model's name may stand where such names do, and nowhere else.
    attributes = [*(span.attributes for span in collector.spans), *(each.attributes for each in collector.records)]
    said = [values(each) for each in attributes]
    assert {name for each in said for name, value in each.items() if PROMPT in str(value)} <= NAMES
    rest = "".join(str((span.name, span.events, span.status)) for span in collector.spans)
    assert PROMPT not in rest + str([record.body for record in collector.records])
    assert all(PROMPT.encode() not in each.body for each in collector.posted if each.path == "/v1/metrics")


def _metrics(gateway: Gateway) -> str:
    reader = gateway.create_key("prometheus", "--scope", "metrics:read")
    answer = gateway.get("/metrics", reader.bearer, admin=True)
    assert answer.status == 200
    return answer.body.decode()


def _command_lines(gateway: Gateway) -> list[str]:
    """What every user of the machine can read of the gateway's processes."""
    root = psutil.Process(gateway.process.pid)
    found = [" ".join(each.cmdline()) for each in (root, *root.children(recursive=True))]
    assert "up" in found[0]
    return found


@pytest.mark.parametrize("form", ["human", "json"])
def test_terminals_and_captures_hold_no_secret_either(launch: Launch, engine: RecordingEngine, form: str) -> None:
    everyone: Object = {"id": "all", "models": ["*"], "everyone": True, "capture": "full"}
    gateway = launch(
        telemetry={"log_format": form, "log_level": "debug"}, policy={"grants": [everyone], "timeout": "5s"}
    )
    key = gateway.create_key("chatty")
    _misuse(gateway, key)
    engine.play(always(Send(whole(completion(f"{ANSWER} {key.secret} {JWT}")))))
    answer = gateway.post(CHAT, chat(f"{PROMPT} {key.secret} {JWT} Bearer {HEADER}"), key.bearer)
    assert answer.status == 200
    request = answer.head.get("x-request-id") or ""
    until(lambda: gateway.run("capture", "show", request).code == 0, 15, "the capture")
    assert gateway.stop() == 0
    logged = gateway.logged()
    assert ('"event"' in gateway.err.text) is (form == "json")
    secret = key.secret.removeprefix(f"lgw_{key.id}_")
    for canary in (secret, ANSWER, URL, HEADER, JWT, JWT.split(".")[1], "Traceback"):
        assert canary not in logged, canary
    captures = b"".join(file.read_bytes() for file in (gateway.folder / "home" / "captures").iterdir())
    assert ANSWER.encode() in captures
    for canary in (secret, URL, HEADER, JWT, JWT.split(".")[1]):
        assert canary.encode() not in captures, canary


def test_engine_never_saw_a_credential(busy: tuple[Gateway, Key], engine: RecordingEngine) -> None:
    _, key = busy
    for seen in (*engine.requests, *engine.probes):
        assert key.secret.encode() not in seen.raw
        assert b"authorization" not in seen.raw_head.lower()


def test_state_folder_is_private(busy: tuple[Gateway, Key]) -> None:
    gateway, _ = busy
    home = gateway.folder / "home"
    assert home.stat().st_mode & 0o777 == 0o700
    for file in home.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file


def test_database_holds_no_key_in_clear(gateway: Gateway, key: Key) -> None:
    for file in (gateway.folder / "home").rglob("*"):
        if file.is_file() and file.read_bytes()[:6] == b"SQLite":
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
                dump = "\n".join(database.iterdump())
            database.close()
            assert key.id in dump
            assert key.secret.rsplit("_", 1)[1][:20] not in dump


def test_access_line_tells_what_happened_and_no_more(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    engine.play(always(Send(whole(completion(ANSWER)))))
    answer = gateway.post(CHAT, chat(PROMPT), key.bearer)
    line = gateway.access_line(answer.head.get("x-request-id") or "none")
    wanted = {
        "status": 200,
        "method": "POST",
        "route": "/v1/chat/completions",
        "listener": "local",
        "ip": "127.0.0.1",
        "key_id": key.id,
        "auth": "key",
        "model": ASKED,
        "engine": "fake",
        "stream": False,
        "tokens_in": 7,
        "tokens_out": 3,
        "usage_source": "engine",
        "finish": "stop",
    }
    assert {name: line.get(name) for name in wanted} == wanted
    total = as_object(line["ms"])["total"]
    assert isinstance(total, float | int)
    assert 0 < total < 5000
    assert PROMPT not in str(line)
    assert ANSWER not in str(line)


def test_every_request_has_one_access_line(gateway: Gateway, engine: RecordingEngine, key: Key) -> None:
    refused = gateway.post(CHAT, chat(max_tokens=-1), key.bearer)
    stranger = gateway.get("/v1/models")
    lost = gateway.get("/v1/nowhere", key.bearer)
    for answer, reason in (
        (refused, "invalid_parameter"),
        (stranger, "missing_credential"),
        (lost, "unknown_route"),
    ):
        line = gateway.access_line(answer.head.get("x-request-id") or "none")
        assert (line["status"], line["reason"]) == (answer.status, reason)


def test_access_log_can_be_a_file(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(telemetry={"access_log": "access.log"})
    key = gateway.create_key("caller")
    answer = gateway.post(CHAT, chat(), key.bearer)
    assert gateway.stop() == 0
    file = next(gateway.folder.rglob("access.log"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert (answer.head.get("x-request-id") or "none") in file.read_text()
    assert '"event":"access"' not in gateway.err.text


def test_key_in_the_wrong_field_is_not_logged(gateway: Gateway, key: Key) -> None:
    body: Object = {"model": key.secret, "messages": [{"role": "user", "content": "hi"}]}
    answer = gateway.post(CHAT, body, key.bearer)
    assert answer.status == 403
    gateway.access_line(answer.head.get("x-request-id") or "")
    assert key.secret not in gateway.logged()
