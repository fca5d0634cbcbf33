"""The served engine: one policy that decides on a UNIX socket, in OPA's words (facts A1).

POST /v1/data/gateway/authz/decision   {"input": ...} -> {"result": ...}; {} if undefined; 500 if evaluation fails
GET  /health                           {}

Builtin errors are always errors, whether or not the query says `strict-builtin-errors=true`. Two deviations from OPA,
both stricter: an absent `input` and any other query are 400 instead of being taken as undefined, or ignored.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import stat
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

import orjson

from policies.bundle import ENTRY
from policies.embedded.alike import too_long
from policies.embedded.fence import deadline
from policies.embedded.rego import Policy, RegoError
from policies.embedded.wire import Reader, Request, WireError, answer, failure
from policies.json import JSON

MAX_RESULT: Final = 1 << 20
_MAX_CONNECTIONS: Final = 64
_OTHERS: Final = 3
"""Descriptors that are watched and are no connection."""
_BLOCK: Final = 64 << 10
_DECISION: Final = f"/v1/data/{ENTRY}"
_DECISIONS: Final = frozenset({_DECISION, _DECISION + "?strict-builtin-errors=true"})
_PRIVATE: Final = 0o177
_PANIC: Final = 70


class Decider:
    """Requests to answers."""

    def __init__(self, policy: Policy, *, decision_seconds: float) -> None:
        self._policy = policy
        self._seconds = decision_seconds

    def respond(self, request: Request) -> tuple[HTTPStatus, bytes]:
        """Status and body. A decision that takes longer than its time ends the process."""
        if request.target in _DECISIONS and request.method == "POST":
            return self._decide(request.body)
        if request.target == "/health" and request.method == "GET":
            return HTTPStatus.OK, b"{}"
        if request.target.partition("?")[0] == _DECISION and request.method == "POST":
            return HTTPStatus.BAD_REQUEST, failure("invalid_parameter", "the query is not supported")
        return HTTPStatus.NOT_FOUND, failure("resource_not_found", "no such path")

    def _decide(self, body: bytes) -> tuple[HTTPStatus, bytes]:
        try:
            document = _input(body)
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, failure("invalid_parameter", str(error))
        try:
            with deadline(self._seconds):
                value = self._policy.value(document)
        except RegoError as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _fault(error)
        if value is None:
            return HTTPStatus.OK, b"{}"
        result = value.encode()
        if len(result) > MAX_RESULT:
            return HTTPStatus.INTERNAL_SERVER_ERROR, _fault(RegoError("the result is too large"))
        return HTTPStatus.OK, b'{"result":' + result + b"}"


def _input(body: bytes) -> str:
    """The input document of a question, written anew: regorus sees what was checked here. ValueError."""
    if too_long(body):
        raise ValueError("a number has more digits than 64 bits hold")
    try:
        question: JSON = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(question, dict) or question.keys() != {"input"}:
        raise ValueError('the body must be {"input": ...}')
    return orjson.dumps(question["input"]).decode()


def _fault(error: RegoError) -> bytes:
    place: JSON = {"file": error.file, "row": error.row, "col": error.column}
    errors: list[JSON] = [{"code": "eval_error", "message": error.message, "location": place}]
    return failure("internal_error", "error(s) occurred while evaluating query", errors)


class Connection:
    """One connection of the gateway; requests are answered in their order, and nothing is read before an answer is out.

    Its methods raise OSError when the gateway has gone.
    """

    def __init__(self, decider: Decider, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.peer: Final = peer
        self._decider = decider
        self._reader = Reader()
        self._unsent = b""
        self._last = False

    @property
    def awaits(self) -> int:
        """What has to be possible before `go_on`: EVENT_READ or EVENT_WRITE."""
        return selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ

    def go_on(self) -> bool:
        """Send what waits, or take what has come, and answer it; False once the connection is over."""
        with suppress(BlockingIOError):
            arrived = b""
            if self._unsent:
                self._send()
            else:
                arrived = self.peer.recv(_BLOCK)
                self._last = not arrived
            while not self._unsent and not self._last and (said := self._answer(arrived)):
                self._unsent, arrived = said, b""
                self._send()
        return bool(self._unsent) or not self._last

    def _send(self) -> None:
        self._unsent = self._unsent[self.peer.send(self._unsent) :]

    def _answer(self, arrived: bytes) -> bytes:
        """The answer to the next request; nothing if it is not all there."""
        try:
            self._reader.feed(arrived)
            request = self._reader.next()
            if request is None:
                return b""
            self._last = request.last
            return answer(*self._decider.respond(request), last=request.last)
        except WireError as error:
            self._last = True
            return answer(error.status, failure("invalid_parameter", error.message), last=True)
        except BaseException:  # noqa: BLE001 - a Rust panic is a BaseException, and what is left of the engine is unknown
            os._exit(_PANIC)


def listen(path: Path) -> socket.socket:
    """A listening UNIX socket of mode 0600 from its first moment; what a dead engine left at `path` goes. OSError."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_PRIVATE)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(_MAX_CONNECTIONS)
    listener.setblocking(False)
    return listener


def serve(decider: Decider, listener: socket.socket, parent: int) -> None:
    """Answer until SIGTERM, or until descriptor `parent` reaches its end: whoever started this is gone.

    By hand and not with asyncio: to import that, and TLS with it, is half of what a start takes and 7 MB.
    """
    told = _told_to_stop()
    with selectors.DefaultSelector() as selector:
        for source in (listener, parent, told):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if isinstance(key.data, Connection):
                    _go_on(selector, key.data)
                elif key.fileobj is listener:
                    _accept(selector, decider, listener)
                elif key.fileobj == told or not os.read(parent, 4096):
                    return


def _accept(selector: selectors.BaseSelector, decider: Decider, listener: socket.socket) -> None:
    with suppress(OSError):  # it has gone again
        peer, _ = listener.accept()
        if len(selector.get_map()) >= _MAX_CONNECTIONS + _OTHERS:
            peer.close()
        else:
            selector.register(peer, selectors.EVENT_READ, Connection(decider, peer))


def _go_on(selector: selectors.BaseSelector, connection: Connection) -> None:
    open_still = False
    with suppress(OSError):
        open_still = connection.go_on()
    if open_still:
        selector.modify(connection.peer, connection.awaits, connection)
    else:
        selector.unregister(connection.peer)
        connection.peer.close()


def _told_to_stop() -> int:
    """A descriptor that can be read once there was a SIGTERM: it must not interrupt a decision."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    return reading
