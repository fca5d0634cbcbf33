"""What goes on in a real gateway: the two routes, `top` on a terminal, `tail`."""

from __future__ import annotations

import json
import os
import signal
import socket
import termios
from collections.abc import Iterator

import pytest

from policies.json import Object, as_list, as_object
from tests.system.calls import CHAT, chat, events, start_stream
from tests.system.conftest import Launch
from tests.system.process import Gateway, Key, until
from tests.system.recording_engine import RecordingEngine
from tests.system.scripts import Hold, Stream, always, talker
from tests.system.watching import PATIENCE, Screen, arguments, live, names, requests, tail
from tests.system.wire import Wire, compose, loads

SECRET = "the-prompt-nobody-may-see"


@pytest.fixture
def single(launch: Launch) -> Gateway:
    """A gateway whose engine has one slot."""
    return launch(engine={"concurrency": 1})


@pytest.fixture
def looker(single: Gateway) -> Key:
    return looks(single)


def looks(gateway: Gateway) -> Key:
    key = gateway.create_key("looker", "--scope", "usage:read")
    until(lambda: gateway.get("/live", key.bearer, admin=True).status == 200, 5.0, "the key may look")
    return key


def of(found: Object, caller: str) -> Object:
    return next((one for one in requests(found) if one["caller"] == caller), {})


def test_a_stream_shows_up_with_rising_tokens_and_one_behind_it_with_its_place(
    single: Gateway, engine: RecordingEngine, looker: Key
) -> None:
    ann, bob, cleo = (single.create_key(name) for name in ("ann", "bob", "cleo"))
    engine.play(talker(2_000, gap=0.01))
    with start_stream(single, ann, SECRET) as running:
        assert running.head().status == 200
        until(lambda: of(live(single, looker), "ann").get("phase") == "streaming", PATIENCE, "ann streams")
        with start_stream(single, bob):
            until(lambda: of(live(single, looker), "bob").get("position") == 1, PATIENCE, "bob is next")
            with start_stream(single, cleo):
                until(lambda: of(live(single, looker), "cleo").get("position") == 2, PATIENCE, "cleo comes after bob")
                before = tokens(live(single, looker))
                until(lambda: tokens(live(single, looker)) > before, PATIENCE, "ann's tokens rise")
                until(lambda: rate(live(single, looker)) > 0, PATIENCE, "they have a rate")
                found = live(single, looker)
            assert of(found, "bob")["phase"] == "queued"
    (only,) = [as_object(one) for one in as_list(found["engines"])]
    assert (only["running"], only["waiting"], only["slots"], only["up"]) == (1, 2, 1, True)
    assert {as_object(one)["caller"] for one in as_list(found["callers"])} == {"ann", "bob", "cleo"}
    assert SECRET not in json.dumps(found)
    until(lambda: requests(live(single, looker)) == [], PATIENCE, "nothing is left when all have gone")


def tokens(found: Object) -> int:
    return int(str(of(found, "ann")["tokens_out"]))


def rate(found: Object) -> float:
    (only,) = as_list(found["engines"])
    return float(str(as_object(only)["tokens_per_second"]))


def test_only_a_key_that_may_look_sees_anything(gateway: Gateway, key: Key) -> None:
    for path in ("/live", "/live/requests"):
        assert gateway.get(path, admin=True).status == 401
        assert gateway.get(path, key.bearer, admin=True).status == 403
    looker = looks(gateway)
    assert gateway.get("/policy", looker.bearer, admin=True).status == 403
    assert gateway.post(CHAT, chat(), looker.bearer).status == 403


@pytest.mark.parametrize("query", ["calle=ann", "status=9xx", "slower=x", "status=200&status=404", "caller", "&"])
def test_a_misspelt_filter_does_not_pass_for_everything(gateway: Gateway, query: str) -> None:
    looker = gateway.create_key("looker", "--scope", "usage:read")
    path = f"/live/requests?{query}"
    until(lambda: gateway.get(path, looker.bearer, admin=True).status == 400, 5.0, "it is refused")
    assert gateway.get("/live?caller=ann", looker.bearer, admin=True).status == 400


def stream(gateway: Gateway, key: Key, query: str = "") -> tuple[Wire, Iterator[Object]]:
    """A watcher, attached."""
    wire = gateway.open(admin=True)
    wire.send(compose("GET", f"/live/requests{query}", key.bearer))
    head = wire.head()
    assert (head.status, head.get("content-type")) == (200, "application/x-ndjson")
    lines = documents(wire.blocks(head, PATIENCE))
    assert next(lines) == {"event": "watching"}
    return wire, lines


def documents(blocks: Iterator[bytes]) -> Iterator[Object]:
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from map(loads, whole)


def test_a_revoked_watcher_is_told_and_ends(gateway: Gateway) -> None:
    looker = looks(gateway)
    wire, lines = stream(gateway, looker)
    with wire:
        assert gateway.run("keys", "revoke", looker.id).code == 0
        assert list(lines) == [{"event": "ended", "reason": "credential_revoked"}]


def test_a_watcher_sees_refusals_and_neither_itself_nor_other_watchers(gateway: Gateway, key: Key) -> None:
    looker = looks(gateway)
    wire, lines = stream(gateway, looker)
    with wire:
        assert live(gateway, looker)["object"] == "live"
        assert gateway.post(CHAT, {**chat(), "model": "nobody-has-it"}, key.bearer).status == 403
        line = next(lines)
        assert (line["status"], line["reason"], line["caller"]) == (403, "model_not_permitted", "shared")


def test_a_watcher_that_reads_nothing_slows_nobody_and_costs_little(launch: Launch, engine: RecordingEngine) -> None:
    gateway = launch(telemetry={"access_log": "off"})
    looker, key = looks(gateway), gateway.create_key("ann")
    before = gateway.resident()
    idle = Wire.open(gateway.admin, receive_buffer=4096)
    with idle:
        idle.send(compose("GET", "/live/requests", looker.bearer))
        assert idle.head().status == 200
        until(lambda: as_object(live(gateway, looker)["process"])["watchers"] == 1, PATIENCE, "it watches")
        with gateway.open() as wire:
            for _ in range(900):
                assert wire.ask(compose("GET", "/v1/me", key.bearer)).status == 200
        assert as_object(live(gateway, looker)["process"])["watchers"] == 1
    assert gateway.resident() - before < 24 << 20
    until(lambda: as_object(live(gateway, looker)["process"])["watchers"] == 0, PATIENCE, "it has gone")


def test_tail_prints_what_matches_and_nothing_else(single: Gateway, engine: RecordingEngine) -> None:
    ann, bob = single.create_key("ann"), single.create_key("bob")
    with tail(single, "--caller", "ann", "--status", "2xx", "--json") as watched:
        assert single.post(CHAT, {**chat(SECRET), "model": "nobody-has-it"}, ann.bearer).status == 403
        assert single.post(CHAT, chat(SECRET), bob.bearer).status == 200
        answer = single.post(CHAT, chat(SECRET), ann.bearer)
        mine = answer.head.get("x-request-id") or ""
        assert watched.out.find(lambda line: mine in line, PATIENCE), watched.err.text
        assert watched.end() == 0
        (line,) = [loads(text) for text in watched.out.all]
    assert (line["caller"], line["status"], line["tokens_out"], line["event"]) == ("ann", 200, 3, "access")
    assert SECRET not in json.dumps(line)
    assert all("@" not in name for name in names(single)), "the key that it made is gone"


def test_tail_comes_back_after_a_restart(launch: Launch) -> None:
    gateway = launch(admin={"bind": f"127.0.0.1:{free_port()}"})
    key = gateway.create_key("ann")
    with tail(gateway) as watched:
        assert gateway.post(CHAT, chat(), key.bearer).status == 200
        assert watched.out.find(lambda line: "ann" in line, PATIENCE), watched.err.text
        assert gateway.stop() == 0
        assert watched.err.find(lambda line: "away" in line, PATIENCE), watched.err.text
        _ = gateway.start().ready()
        assert watched.err.find(lambda line: "again watching" in line, PATIENCE), watched.err.text
        assert gateway.post(CHAT, {**chat(), "model": "nobody-has-it"}, key.bearer).status == 403
        assert watched.out.find(lambda line: "model_not_permitted" in line, PATIENCE), watched.out.text
        assert watched.end(signal.SIGTERM) == 0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("arguments", [("--status", "abc"), ("--reason", "nothing"), ("--slower", "soon")])
def test_tail_says_what_a_filter_may_be(gateway: Gateway, arguments: tuple[str, str]) -> None:
    ended = gateway.run("tail", *arguments)
    assert ended.code == 2
    assert arguments[0] in ended.err
    assert "Traceback" not in ended.err


def test_without_a_gateway_or_a_right_they_say_so(gateway: Gateway, key: Key) -> None:
    for command in ("top", "tail"):
        ended = gateway.run(command, "--admin", f"127.0.0.1:{free_port()}")
        assert (ended.code, "no gateway answers" in ended.err) == (1, True)
    other = Gateway(gateway.folder, gateway.config, {"LLM_GATEWAY_ADMIN_KEY": key.secret}, admin=gateway.admin)
    ended = other.run("top", "--once", *arguments(gateway))
    assert (ended.code, "usage:read" in ended.err, key.secret in ended.err) == (1, True, False)
    assert all("@" not in name for name in names(gateway))


def test_top_once_is_text_or_json(gateway: Gateway) -> None:
    ended = gateway.run("top", "--once", *arguments(gateway))
    assert ended.code == 0, ended.err
    assert "fake" in ended.out
    assert ended.out.replace("\n", "").isprintable()
    ended = gateway.run("top", "--once", "--json", *arguments(gateway))
    assert loads(ended.out)["object"] == "live"
    assert all("@" not in name for name in names(gateway))


@pytest.fixture
def screen(single: Gateway) -> Iterator[Screen]:
    shown = Screen(single, 100, 24)
    yield shown
    shown.close()


def test_top_fills_a_terminal_follows_its_size_and_leaves_it_as_it_was(
    single: Gateway, engine: RecordingEngine, screen: Screen
) -> None:
    key = single.create_key("ann")
    engine.play(always(*Stream().until(2, Hold())))
    with start_stream(single, key) as wire:
        assert wire.head().status == 200
        screen.shows("llm-gateway", "fake", "ann", "streaming", "LISTENER")
        screen.resize(40, 12)
        screen.shows("ann", "streaming")
        until(lambda: narrow(screen, 40, 12), PATIENCE, "it is drawn for 40 by 12")
        engine.release()
    screen.press("q")
    assert screen.ended() == 0
    assert "\x1b[?1049h" in screen.raw
    assert screen.raw.rstrip().endswith("\x1b[?1049l")
    assert termios.tcgetattr(screen.inside) == screen.before
    assert all("@" not in name for name in names(single))


def narrow(screen: Screen, columns: int, lines: int) -> bool:
    _ = screen.read()
    last = screen.frames()[-1]
    return len(last) <= lines and all(len(line) <= columns for line in last)


def test_top_shows_no_colour_where_none_is_wanted_and_ends_with_control_c(single: Gateway) -> None:
    shown = Screen(single, 80, 24, NO_COLOR="1")
    try:
        shown.shows("llm-gateway", "fake")
        os.kill(shown.process.pid, signal.SIGINT)
        assert shown.ended() == 0
        assert not any(f"\x1b[{code}m" in shown.raw for code in ("1", "7", "1;31"))
        assert termios.tcgetattr(shown.inside) == shown.before
    finally:
        shown.close()


def test_a_finished_stream_is_counted_for_its_caller(single: Gateway, engine: RecordingEngine, looker: Key) -> None:
    key = single.create_key("ann")
    assert live(single, looker)["callers"] == []  # from now on it counts
    engine.play(talker(20))
    with start_stream(single, key) as wire:
        assert events(wire)
    found = live(single, looker)
    assert [as_object(one)["caller"] for one in as_list(found["callers"])] == ["ann"]
    assert as_object(as_list(found["callers"])[0])["tokens_recent"] == 27
