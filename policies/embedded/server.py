"""The served engine: one policy that decides on a UNIX socket, in OPA's words (facts A1).

POST /v1/data/gateway/authz/decision   {"input": ...} -> {"result": ...}; {} if undefined; 500 if evaluation fails
GET  /health                           {}

Builtin errors are always errors, whether or not the query says `strict-builtin-errors=true`. Two deviations from OPA,
both stricter: an absent `input` and any other query are 400 instead of being taken as undefined, or ignored.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final, cast

import orjson

from policies.bundle import ENTRY
from policies.embedded.alike import too_long
from policies.embedded.fence import deadline
from policies.embedded.rego import Policy, RegoError
from policies.embedded.wire import Reader, Request, WireError, answer, failure
from policies.json import JSON

MAX_RESULT: Final = 1 << 20
_MAX_CONNECTIONS: Final = 64
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


class Connection(asyncio.Protocol):
    """One connection of the gateway; requests are answered in their order."""

    def __init__(self, decider: Decider, open_now: set[Connection]) -> None:
        self._decider = decider
        self._open = open_now
        self._reader = Reader()
        self._paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)
        if len(self._open) > _MAX_CONNECTIONS:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._open.discard(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            self._reader.feed(data)
            while not self._paused and (request := self._reader.next()) is not None:
                status, body = self._decider.respond(request)
                transport.write(answer(status, body, last=request.last))
                if request.last:
                    transport.close()
                    return
        except WireError as error:
            transport.write(answer(error.status, failure("invalid_parameter", error.message), last=True))
            transport.close()
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


async def serve(decider: Decider, listener: socket.socket, parent: int) -> None:
    """Answer until SIGTERM, or until descriptor `parent` reaches its end: whoever started this is gone."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(parent, _watch, parent, over)
    connections: set[Connection] = set()
    server = await loop.create_unix_server(lambda: Connection(decider, connections), sock=listener)
    await over.wait()
    loop.remove_reader(parent)
    server.close()


def _watch(parent: int, over: asyncio.Event) -> None:
    if not os.read(parent, 4096):
        over.set()
