"""How the client takes a no: what may change is waited for, within bounds; the rest is said at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from edge.cli.live.access import Given
from edge.cli.live.client import AdminClient, Away, Refused, Where
from edge.config.values import Bind

GOOD = b'{"object":"live"}'


class Clock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Renewed:
    """An access whose keys are numbered."""

    made = True

    def __init__(self) -> None:
        self.number = 1

    @property
    def key(self) -> str:
        return f"key{self.number}"

    def renew(self) -> bool:
        self.number += 1
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to give back."""


@contextmanager
def gateway(*answers: tuple[int, bytes]) -> Iterator[tuple[Bind, list[str]]]:
    """Gives the answers one after the other, the last one for ever; and the credentials that it saw."""
    left, seen = list(answers), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(str(self.headers["Authorization"]))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Bind("127.0.0.1", server.server_address[1]), seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def client(bind: Bind, access: Given | Renewed) -> tuple[AdminClient, Clock]:
    clock = Clock()
    return AdminClient(Where.of(bind), access, clock=clock, sleep=clock.sleep), clock


def test_a_new_key_is_waited_for() -> None:
    with gateway((401, b"{}"), (401, b"{}"), (200, GOOD)) as (bind, seen):
        asking, clock = client(bind, Renewed())
        assert asking.snapshot() == {"object": "live"}
    assert seen == ["Bearer key1"] * 3
    assert clock.now >= 0.45


def test_one_that_is_never_known_is_given_up_before_the_address_is_locked_out() -> None:
    with gateway((401, b"{}")) as (bind, seen):
        asking, _ = client(bind, Renewed())
        with pytest.raises(Refused, match="does not know"):
            asking.snapshot()
    assert set(seen) == {"Bearer key1"}
    assert len(seen) < 20 / 2


def test_one_that_has_run_out_is_renewed() -> None:
    with gateway((200, GOOD), (401, b"{}"), (200, GOOD)) as (bind, seen):
        asking, _ = client(bind, Renewed())
        asking.snapshot()
        asking.snapshot()
    assert seen == ["Bearer key1", "Bearer key1", "Bearer key2"]


def test_a_given_key_that_is_refused_is_not_tried_again() -> None:
    with gateway((401, b'{"error":{"message":"no \\u001b[2J"}}')) as (bind, seen):
        asking, _ = client(bind, Given("mine"))
        with pytest.raises(Refused) as caught:
            asking.snapshot()
    assert seen == ["Bearer mine"]
    assert str(caught.value).isprintable()


def test_who_asks_too_often_waits_and_not_for_ever() -> None:
    with gateway((429, b"{}"), (200, GOOD)) as (bind, _):
        assert client(bind, Given("mine"))[0].snapshot() == {"object": "live"}
    with gateway((429, b"{}")) as (bind, _), pytest.raises(Refused):
        client(bind, Given("mine"))[0].snapshot()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"object":"other"}'])
def test_something_else_that_answers_is_no_gateway(body: bytes) -> None:
    with gateway((200, body)) as (bind, _), pytest.raises((Refused, Away)):
        client(bind, Given("mine"))[0].snapshot()


def test_what_is_no_key_never_leaves_the_machine() -> None:
    with gateway((200, GOOD)) as (bind, seen):
        with pytest.raises(Refused):
            client(bind, Given("a\r\nHost: b"))[0].snapshot()
        assert seen == []


def test_nobody_is_there() -> None:
    with gateway((200, GOOD)) as (bind, _):
        pass
    with pytest.raises(Away):
        client(bind, Given("mine"))[0].snapshot()
