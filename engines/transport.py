"""The one place that opens connections to engines.

The client is aiohttp's, with what makes a shared session dangerous in a proxy switched off (facts/security.md F1, F8,
F9 and 5.3, all measured): no cookie jar, no redirects, no proxies from the environment, no decompression, no headers of
its own, no path normalisation. What is left, an engine that hangs, drips, lies or dies, becomes an `UpstreamError`.
"""

from __future__ import annotations

import asyncio
import functools
import io
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Final

import aiohttp
from aiohttp import ClientSession  # noqa: TID251 - the ban exists so that this is the one place
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from engines.adapters.openai_shape import OpenAIShape
from engines.adapters.registry import ADAPTERS
from engines.contract import Engine, Kind, Target, Timeouts, UpstreamRequest
from policies.call import Operation
from policies.decision import Permit
from policies.errors import EngineBroke, EngineTimeout, EngineUnreachable, UpstreamError

# Below uvicorn's 5 s (vLLM, llama-cpp-python), the shortest among engines: whoever closes first must be us (F9).
KEEP_ALIVE: Final = 3.0
LINE, FIELD, HEADERS = 8190, 8190, 64
_SOCKET: Final = "unix://"
_BASES: Final = ("/engines/v1", "/v1")
_LONG_WAIT_DIGITS: Final = 5
# aiohttp warns (and our tests fail) when bytes above 1 MiB are sent as one block; a stream is written in pieces.
_ONE_BLOCK: Final = 1 << 20


@dataclass(slots=True)
class _Attempt:
    """What a connection tells about the request it carries."""

    reused: bool = False


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


class _Wire(ResponseHandler):
    """aiohttp's client protocol, with three changes.

    A reader learns at once of a body that does not parse: aiohttp 3.14.5 tells only whoever waits for a head, so a
    chunk size of `zz` in mid-stream left the reader waiting for its timer (seen with both event loops).

    It closes at once: aiohttp's `close` first waits until everything written is sent, so an engine that reads nothing
    would keep the connection, and the work behind it, after the caller left. And it tells the request when it was
    used before, which decides whether a retry is safe.
    """

    used = False

    def close(self) -> None:
        self.abort()

    def set_exception(self, exc: type[BaseException] | BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)  # type: ignore[arg-type]  # aiohttp's two bases differ in what they take
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None and isinstance(exc, BaseException):
            body.set_exception(exc)

    def set_response_params(self, **params: object) -> None:
        if attempt := _attempt.get(None):
            attempt.reused = self.used
        self.used = True
        super().set_response_params(**params)  # type: ignore[arg-type]  # handed on as they came


class Answer:
    """An answer that has begun. Implements `contract.UpstreamResponse`; `headers` (lower-case names) is for probes."""

    __slots__ = ("_gap", "_response", "_until")

    def __init__(self, response: aiohttp.ClientResponse, timeouts: Timeouts, until: float) -> None:
        self._response = response
        self._gap = timeouts.gap
        self._until = until

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    @property
    def content_type(self) -> str:
        return self._response.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        text = self._response.headers.get("Retry-After", "")
        # Digits only, few of them: a date would need a clock, and int() of a long string is slow.
        return float(text) if text.isascii() and text.isdigit() and len(text) <= _LONG_WAIT_DIGITS else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `contract.UpstreamResponse.chunks`."""
        content, clock = self._response.content, asyncio.get_running_loop().time
        while True:
            gap_ends = clock() + self._gap
            try:
                async with asyncio.timeout_at(min(gap_ends, self._until)):
                    block = await content.readany()
            except TimeoutError:
                raise EngineTimeout("total" if self._until < gap_ends else "gap between chunks") from None
            except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
                raise EngineBroke(f"answer cut off: {type(error).__name__}") from None
            if not block:
                return
            yield block

    async def read(self, limit: int) -> bytes:
        """See `contract.UpstreamResponse.read`."""
        blocks, size = [], 0
        async for block in self.chunks():
            size += len(block)
            if size > limit:
                raise EngineBroke("answer too large")
            blocks.append(block)
        return b"".join(blocks)


class _Sending:
    """One request to an engine as a context; see `contract.Transport` for what leaving it means."""

    __slots__ = ("_engine", "_request", "_response", "_retried", "_session")

    def __init__(self, session: ClientSession, engine: Engine, request: UpstreamRequest, retried: Counter[str]) -> None:
        self._session = session
        self._retried = retried
        self._engine = engine
        self._request = request
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> Answer:
        clock, limits = asyncio.get_running_loop().time, self._engine.timeouts
        until = clock() + limits.total
        attempt = _Attempt()
        _attempt.set(attempt)
        try:
            async with asyncio.timeout(min(limits.first_byte, limits.total)):
                while self._response is None:
                    try:
                        self._response = await self._send()
                    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                        # Ends: each try takes a pooled connection away, and a new one is never stale.
                        if not _stale(error, attempt):
                            raise
                        self._retried[self._engine.name] += 1
        except aiohttp.ServerTimeoutError:
            raise EngineTimeout("connect", connected=False) from None
        except TimeoutError:
            raise EngineTimeout("first byte") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error) from None
        self._check(self._response)
        return Answer(self._response, limits, until)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            self._response.close()  # nothing to close once the body was read to its end: the pool has it back

    async def _send(self) -> aiohttp.ClientResponse:
        request, engine = self._request, self._engine
        headers = dict(request.headers)
        if engine.api_key is not None:
            headers["authorization"] = f"Bearer {engine.api_key}"
        return await self._session.request(
            request.method,
            _address(engine.url, request.path),
            data=(request.body if len(request.body) < _ONE_BLOCK else io.BytesIO(request.body)) or None,
            headers=headers,
            allow_redirects=False,
            timeout=_timeout(engine.timeouts.connect),
        )

    def _check(self, response: aiohttp.ClientResponse) -> None:
        """Refuse heads that no engine sends: a switch of protocol, a redirect, an encoding we did not ask for.

        (aiohttp skips other 1xx by itself, within the time limit for the first byte.)
        """
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        problem = ""
        if response.status < 200 or 300 <= response.status < 400:  # noqa: PLR2004 - RFC 9110 15: the status classes
            problem = f"status {response.status}"
        elif encoding not in ("", "identity"):
            problem = "encoded answer"
        if problem:
            response.close()
            raise EngineBroke(problem)


class AiohttpTransport:
    """`contract.Transport` over aiohttp's client; one session for TCP, one more per UNIX socket."""

    def __init__(self) -> None:
        self._sessions: dict[str, ClientSession] = {}
        self.retried: Final[Counter[str]] = Counter()
        """How often a request was sent again, on another connection, by engine."""

    def send(self, permit: Permit, engine: Engine, request: UpstreamRequest) -> _Sending:
        """Send an inference request. TypeError without a real Permit, ValueError for a path that is not its adapter's.

        Both are mistakes in our code, never a caller's doing, so they are not refusals.
        """
        if not isinstance(permit, Permit):
            raise TypeError("no Permit, no request")
        if request.method != "POST" or request.path not in _OPENED[engine.kind, permit.operation]:
            raise ValueError("not a path this permit opens at this kind of engine")
        return _Sending(self._session(engine.url), engine, request, self.retried)

    def probe(self, engine: Engine, request: UpstreamRequest) -> _Sending:
        """Ask one of the two harmless questions of the engine's adapter; ValueError for any other."""
        if request.method != "GET" or request.body or request.path not in _QUESTIONS[engine.kind]:
            raise ValueError("not a probe of this kind of engine")
        return _Sending(self._session(engine.url), engine, request, self.retried)

    def pull(self, engine: Engine, request: UpstreamRequest) -> _Sending:
        """Have the engine fetch a model; ValueError for anything but its adapter's request for that."""
        if request.method != "POST" or request.path != ADAPTERS[engine.kind].pull_path:
            raise ValueError("not how this kind of engine fetches models")
        return _Sending(self._session(engine.url), engine, request, self.retried)

    def delete(self, permit: Permit, target: Target) -> _Sending:
        """Have the engine delete a model that it listed. TypeError without a real Permit, ValueError for one that is
        about something else, and where the engine cannot."""
        if not isinstance(permit, Permit):
            raise TypeError("no Permit, no request")
        request = ADAPTERS[target.engine.kind].delete(target.model)
        if request is None or permit.operation is not Operation.MODELS_DELETE or permit.model != target.model.name:
            raise ValueError("not a model that this permit lets this kind of engine delete")
        return _Sending(self._session(target.engine.url), target.engine, request, self.retried)

    async def close(self) -> None:
        """Close all connections, busy ones too."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            with suppress(Exception):
                await session.close()

    def _session(self, url: str) -> ClientSession:
        path = url.removeprefix(_SOCKET) if url.startswith(_SOCKET) else ""
        session = self._sessions.get(path)
        if session is None:
            session = self._sessions[path] = _open(path)
        return session


def _opened(adapter: OpenAIShape, operation: Operation) -> frozenset[str | None]:
    """The paths that a permit for `operation` opens."""
    native = {tongue.path for (_, spoken, _), tongue in adapter.native.items() if spoken is operation}
    return frozenset({adapter.paths.get(operation), adapter.count_path, adapter.prompt_path, *native})


_OPENED: Final = {(kind, each): _opened(ADAPTERS[kind], each) for kind in Kind for each in Operation}
_QUESTIONS: Final = {kind: frozenset({ADAPTERS[kind].probe.path, ADAPTERS[kind].listing.path}) for kind in Kind}


def _wire(*, loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _Wire(loop)


def _open(socket_path: str) -> ClientSession:
    # limit=0: how many requests an engine gets at once is the queue's decision; aiohttp's own queue is unbounded.
    connector: aiohttp.BaseConnector
    if socket_path:
        connector = aiohttp.UnixConnector(socket_path, limit=0, keepalive_timeout=KEEP_ALIVE)
    else:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
    connector._factory = functools.partial(_wire, loop=asyncio.get_running_loop())  # noqa: SLF001 - aiohttp has no public way; pinned <3.15
    session = ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        headers={"user-agent": "llm-gateway", "accept-encoding": "identity"},
        max_line_size=LINE,
        max_field_size=FIELD,
        max_headers=HEADERS,
    )
    # aiohttp sends DELETE (and GET) once more by itself, though the engine may have had it: `_stale` decides for all.
    session._retry_connection = False  # noqa: SLF001 - no public way either
    return session


@lru_cache(maxsize=1024)
def _address(base: str, path: str) -> URL:
    """The URL of a constant path at an engine; never normalised (F1). A base that already ends in the API's root, as
    people copy it from OpenAI clients, is taken for what it means."""
    if base.startswith(_SOCKET):
        base = "http://localhost"
    for root in _BASES:
        base = base.rstrip("/").removesuffix(root)
    return URL(base + path, encoded=True)


@lru_cache(maxsize=64)
def _timeout(connect: float) -> aiohttp.ClientTimeout:
    """Only connecting (and the name's look-up) is timed by aiohttp; the rest is ours."""
    return aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect, sock_read=None)


def _stale(error: aiohttp.ClientError, attempt: _Attempt) -> bool:
    """Whether the engine had closed the pooled connection before it could have seen this request (RFC 9112 9.3.1).

    Only then may a POST be sent again: it was a reused connection, and not a byte of an answer came.
    """
    if not attempt.reused or isinstance(error, aiohttp.ClientConnectorError):
        return False
    # The message is the half-read head if there is one.
    return not isinstance(error, aiohttp.ServerDisconnectedError) or isinstance(error.message, str)


def _failure(error: Exception) -> UpstreamError:
    """aiohttp's error as ours; the log gets its class and errno, never its text (it may quote what was sent)."""
    name = type(error).__name__
    match error:
        case aiohttp.ClientConnectorError():
            return EngineUnreachable(f"{name} {error.errno or ''}".strip(), connected=False)
        case aiohttp.ServerDisconnectedError() if isinstance(error.message, str):
            return EngineUnreachable("closed without an answer")
        case aiohttp.ClientOSError():
            return EngineUnreachable(name)
        case _:
            return EngineBroke(f"invalid answer: {name}")
