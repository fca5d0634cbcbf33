"""Other origins' pages over sockets: what the listener says to a browser, and that it says nothing where it is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.json import JSON
from tests.system.calls import CHAT, chat, streamed
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, configuration
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Fin, Stream, always
from tests.system.wire import Answer, Head, compose

APP = "https://app.example:8443"
ORIGIN = f"Origin: {APP}"
ELSEWHERE = "Origin: https://evil.example"
MINE: JSON = {"origins": [APP, "http://127.0.0.1:3000"]}
WANTS = ("Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, content-type, x-evil")


@pytest.fixture
def open_gateway(launch: Launch) -> Gateway:
    return launch(listener={"cors": MINE})


def options(gateway: Gateway, *lines: str, path: str = CHAT, admin: bool = False) -> Answer:
    with gateway.open(admin=admin) as wire:
        return wire.ask(compose("OPTIONS", path, *lines))


def of_cors(head: Head) -> dict[str, str]:
    return {name: value for name, value in head.headers if name.startswith("access-control-") or name == "vary"}


def test_a_preflight_needs_no_key_and_the_same_connection_goes_on(
    open_gateway: Gateway, engine: RecordingEngine
) -> None:
    key = open_gateway.create_key("caller")
    with open_gateway.open() as wire:
        asked = wire.ask(compose("OPTIONS", CHAT, ORIGIN, *WANTS))
        assert (asked.status, asked.body) == (204, b"")
        assert of_cors(asked.head) == {
            "vary": "origin",
            "access-control-allow-origin": APP,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": "600",
            "access-control-expose-headers": "x-request-id",
        }
        assert asked.head.get("content-length") is None
        answer = wire.ask(compose("POST", CHAT, ORIGIN, key.bearer, body=chat()))
    assert answer.status == 200
    assert answer.head.get("access-control-allow-origin") == APP
    assert "x-request-id" in (answer.head.get("access-control-expose-headers") or "").split(", ")
    assert "origin" not in dict(engine.request().headers)
    line = open_gateway.access_line(asked.head.get("x-request-id") or "")
    assert (line["method"], line["route"], line["status"]) == ("OPTIONS", "preflight", 204)


def test_refusals_can_be_read_too(open_gateway: Gateway, engine: RecordingEngine) -> None:
    tight = open_gateway.create_key("tight", "--rpm", "1", "--model", "other")
    answers = [
        open_gateway.post(CHAT, chat(), ORIGIN),
        open_gateway.post(CHAT, chat(), ORIGIN, "Authorization: Bearer nonsense"),
        open_gateway.post(CHAT, chat(), ORIGIN, tight.bearer),
        open_gateway.post(CHAT, {**chat(), "temperature": "hot"}, ORIGIN, tight.bearer),
        open_gateway.get("/v1/nothing", ORIGIN, tight.bearer),
        open_gateway.post("/v1/messages", {**chat(), "max_tokens": 5}, ORIGIN, tight.bearer),
    ]
    assert [answer.status for answer in answers] == [401, 401, 403, 400, 404, 403]
    assert {answer.head.get("access-control-allow-origin") for answer in answers} == {APP}
    assert all("x-should-retry" in (a.head.get("access-control-expose-headers") or "") for a in answers)
    assert engine.requests == []


def test_a_limit_that_is_used_up_tells_when_it_frees(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(listener={"cors": MINE})
    key = gateway.create_key("once", "--rpm", "1")
    first, second = (gateway.post(CHAT, chat(), ORIGIN, key.bearer) for _ in range(2))
    assert (first.status, second.status) == (200, 429)
    shown = (second.head.get("access-control-expose-headers") or "").split(", ")
    assert {"retry-after", "x-ratelimit-remaining-requests"} <= {*shown}
    assert second.head.get("access-control-allow-origin") == APP


@pytest.mark.parametrize("breaks", [False, True])
def test_streams_can_be_read(open_gateway: Gateway, engine: RecordingEngine, breaks: bool) -> None:
    key = open_gateway.create_key("caller")
    if breaks:
        engine.play(always(*Stream().until(2, Fin())))
    with open_gateway.open() as wire:
        wire.send(compose("POST", CHAT, ORIGIN, key.bearer, body=streamed()))
        head = wire.head()
        assert (head.status, head.get("access-control-allow-origin"), head.get("vary")) == (200, APP, "origin")
        assert [*wire.events(head)]


def test_other_pages_are_told_nothing(open_gateway: Gateway, engine: RecordingEngine) -> None:
    key = open_gateway.create_key("caller")
    cases = {
        ELSEWHERE: WANTS,
        "Origin: null": WANTS,
        f"Origin: {APP}.evil.example": WANTS,
        "X-No: origin": WANTS,
        ORIGIN: ("Access-Control-Request-Method: PUT",),
    }
    for origin, wants in cases.items():
        asked = options(open_gateway, origin, *wants)
        assert asked.status == 401, origin
        assert "access-control-allow-methods" not in of_cors(asked.head)
    assert options(open_gateway, ORIGIN, *WANTS, path="/v1/nothing").status == 401
    assert options(open_gateway, ORIGIN).status == 401  # no preflight
    assert options(open_gateway, ORIGIN, key.bearer).status == 404
    # No page can send this, and a program need not: it is served as ever, and says nothing to a browser.
    answer = open_gateway.post(CHAT, chat(), ELSEWHERE, key.bearer)
    assert (answer.status, of_cors(answer.head)) == (200, {"vary": "origin"})
    assert of_cors(open_gateway.get("/healthz").head) == {"vary": "origin"}


def test_where_it_is_off_nothing_is_said(gateway: Gateway, key: Key, engine: RecordingEngine) -> None:
    assert (options(gateway, ORIGIN, *WANTS).status, of_cors(options(gateway, ORIGIN, *WANTS).head)) == (401, {})
    answer = gateway.post(CHAT, chat(), ORIGIN, key.bearer)
    assert (answer.status, of_cors(answer.head)) == (200, {})


def test_the_admin_plane_has_none(open_gateway: Gateway) -> None:
    asked = options(open_gateway, ORIGIN, "Access-Control-Request-Method: GET", path="/metrics", admin=True)
    assert asked.status in {401, 404, 405}
    assert of_cors(asked.head) == {}
    assert of_cors(open_gateway.get("/readyz", ORIGIN, admin=True).head) == {}


def test_a_gateway_does_not_start_with_an_open_list(tmp_path: Path) -> None:
    """The other mistakes: tests/edge/config/test_check.py."""
    gateway = Gateway(tmp_path, configuration("http://127.0.0.1:9", listener={"cors": {"origins": ["*"]}})).spawn()
    assert gateway.wait() == 2
    assert "must be one exact origin" in gateway.err.text
