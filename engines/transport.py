"""The one place that asks engines: who may send what where, and what an engine is that hangs, drips, lies or dies.

Connections are `engines.pool`'s, and what goes over them `engines.wire`'s.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Final

from yarl import URL

from engines.adapters.openai_shape import OpenAIShape
from engines.adapters.registry import ADAPTERS
from engines.contract import Engine, Kind, Target, Timeouts, UpstreamRequest
from engines.pool import Address, Pool
from engines.wire import Head, Incoming, Wire
from policies.call import Operation
from policies.decision import Permit
from policies.errors import EngineBroke, EngineTimeout, EngineUnreachable

_SOCKET: Final = "unix://"
_BASES: Final = ("/engines/v1", "/v1")
_LONG_WAIT_DIGITS: Final = 5
_USUAL: Final = {"http": 80, "https": 443}
_STALE: Final = 1.0
"""Seconds within which a connection that was closed already is found to be."""
_OUR_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""No connection for want of our own means, which says nothing of the engine."""
_SAFE: Final = re.compile(r"(?:/[!-~]*)")
"""What may stand in a request line: visible ASCII."""


class Answer:
    """An answer that has begun. Implements `contract.UpstreamResponse`; `headers` (lower-case names) is for probes."""

    __slots__ = ("_gap", "_head", "_incoming", "_until", "_wire")

    def __init__(self, wire: Wire, incoming: Incoming, head: Head, timeouts: Timeouts, until: float) -> None:
        self._wire = wire
        self._incoming = incoming
        self._head = head
        self._gap = timeouts.gap
        self._until = until

    @property
    def status(self) -> int:
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._head.headers

    @property
    def content_type(self) -> str:
        return self._head.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        text = self._head.headers.get("retry-after", "")
        # Digits only, few of them: a date would need a clock, and int() of a long string is slow.
        return float(text) if text.isascii() and text.isdigit() and len(text) <= _LONG_WAIT_DIGITS else None

    @property
    def over(self) -> bool:
        """See `contract.UpstreamResponse.over`."""
        return self._incoming.ended and not self._incoming.blocks

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `contract.UpstreamResponse.chunks`."""
        wire, incoming, gap, until = self._wire, self._incoming, self._gap, self._until
        clock = asyncio.get_running_loop().time
        while True:
            gap_ends = clock() + gap
            block = await wire.block(incoming, min(gap_ends, until))
            if block is None:
                raise EngineTimeout("total" if until < gap_ends else "gap between chunks")
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

    __slots__ = ("_address", "_engine", "_pool", "_request", "_retried", "_wire")

    def __init__(self, pool: Pool, engine: Engine, request: UpstreamRequest, retried: Counter[str]) -> None:
        self._pool = pool
        self._retried = retried
        self._engine = engine
        self._request = request
        self._address, _, _ = _place(engine.url)
        self._wire: Wire | None = None

    async def __aenter__(self) -> Answer:
        limits = self._engine.timeouts
        now = asyncio.get_running_loop().time()
        try:
            return await self._begun(now + min(limits.first_byte, limits.total), now + limits.total)
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._wire is not None:
            self._pool.put(self._wire, self._address)
            self._wire = None

    async def _begun(self, until: float, ends: float) -> Answer:
        """The answer whose head comes by `until`, and whose body by `ends` (the loop's time)."""
        request, clock = _head(self._engine, self._request), asyncio.get_running_loop().time
        # Never a deletion twice: the second answer would be that there is no such model.
        again, fresh = False, self._request.method == "DELETE"
        while True:
            wire = self._wire = await self._connected(until, fresh=fresh or again, asked=again)
            asked_at = clock()
            incoming = wire.ask(request, self._request.body)
            try:
                head = await wire.head(incoming, until)
            except EngineUnreachable:
                # The engine had closed a pooled connection before it could have seen this request (RFC 9112 9.3.1),
                # which shows at once. One that took it, and then died of it or gave it up, is not asked twice.
                if again or wire.asked == 1 or incoming.heard or clock() - asked_at > _STALE:
                    raise
                again = True
                self._retried[self._engine.name] += 1
                self._leave()
                continue
            if head is None:
                raise EngineTimeout("first byte")
            return Answer(wire, incoming, _checked(head), self._engine.timeouts, ends)

    async def _connected(self, until: float, *, fresh: bool, asked: bool) -> Wire:
        """`asked`: the engine may have had the request already, so what it does now may be the request's doing."""
        left = until - asyncio.get_running_loop().time()
        try:
            return await self._pool.get(self._address, min(self._engine.timeouts.connect, left), fresh=fresh)
        except TimeoutError as error:
            if error.errno is not None:  # the system's own, of a connection
                raise EngineUnreachable(_name(error), connected=asked) from None
            late = "connect" if self._engine.timeouts.connect < left else "first byte"
            raise EngineTimeout(late, connected=asked) from None
        except OSError as error:
            raise EngineUnreachable(_name(error), connected=asked or error.errno in _OUR_OWN) from None
        except UnicodeError as error:
            raise EngineUnreachable(type(error).__name__) from None


def _name(error: OSError) -> str:
    """For the log: class and errno, never the text (it may quote what was sent)."""
    return f"{type(error).__name__} {error.errno or ''}".strip()


def _checked(head: Head) -> Head:
    """Refuse heads that no engine sends: a redirect, or an encoding that we did not ask for."""
    encoding = head.headers.get("content-encoding", "identity").lower()
    if 300 <= head.status < 400:  # noqa: PLR2004 - RFC 9110 15: the status classes
        raise EngineBroke(f"status {head.status}")
    if encoding not in ("", "identity"):
        raise EngineBroke("encoded answer")
    return head


class HttpTransport:
    """`contract.Transport` over HTTP/1.1."""

    def __init__(self) -> None:
        self._pool = Pool()
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
        return _Sending(self._pool, engine, request, self.retried)

    def probe(self, engine: Engine, request: UpstreamRequest) -> _Sending:
        """Ask one of the two harmless questions of the engine's adapter; ValueError for any other."""
        if request.method != "GET" or request.body or request.path not in _QUESTIONS[engine.kind]:
            raise ValueError("not a probe of this kind of engine")
        return _Sending(self._pool, engine, request, self.retried)

    def pull(self, engine: Engine, request: UpstreamRequest) -> _Sending:
        """Have the engine fetch a model; ValueError for anything but its adapter's request for that."""
        if request.method != "POST" or request.path != ADAPTERS[engine.kind].pull_path:
            raise ValueError("not how this kind of engine fetches models")
        return _Sending(self._pool, engine, request, self.retried)

    def delete(self, permit: Permit, target: Target) -> _Sending:
        """Have the engine delete a model that it listed. TypeError without a real Permit, ValueError for one that is
        about something else, and where the engine cannot."""
        if not isinstance(permit, Permit):
            raise TypeError("no Permit, no request")
        request = ADAPTERS[target.engine.kind].delete(target.model)
        if request is None or permit.operation is not Operation.MODELS_DELETE or permit.model != target.model.name:
            raise ValueError("not a model that this permit lets this kind of engine delete")
        return _Sending(self._pool, target.engine, request, self.retried)

    async def close(self) -> None:
        """Close all connections, busy ones too."""
        self._pool.close()


def _opened(adapter: OpenAIShape, operation: Operation) -> frozenset[str | None]:
    """The paths that a permit for `operation` opens."""
    native = {tongue.path for (_, spoken, _), tongue in adapter.native.items() if spoken is operation}
    return frozenset({adapter.paths.get(operation), adapter.count_path, adapter.prompt_path, *native})


_OPENED: Final = {(kind, each): _opened(ADAPTERS[kind], each) for kind in Kind for each in Operation}
_QUESTIONS: Final = {kind: frozenset({ADAPTERS[kind].probe.path, ADAPTERS[kind].listing.path}) for kind in Kind}


@lru_cache(maxsize=1024)
def _place(base: str) -> tuple[Address, str, str]:
    """Where an engine listens, what its `host` field says, and the path before its API's. A base that already ends in
    the API's root, as people copy it from OpenAI clients, is taken for what it means; nothing else is normalised (F1).
    """
    if base.startswith(_SOCKET):
        return Address(path=base.removeprefix(_SOCKET)), "localhost", ""
    for root in _BASES:
        base = base.rstrip("/").removesuffix(root)
    url = URL(base, encoded=True)
    port = url.port or _USUAL[url.scheme]
    host = f"[{url.raw_host}]" if ":" in (url.raw_host or "") else url.raw_host or ""
    named = host if port == _USUAL[url.scheme] else f"{host}:{port}"
    return Address(url.raw_host or "", port, url.scheme == "https"), named, url.raw_path.rstrip("/")


@lru_cache(maxsize=1024)
def _begins(base: str, method: str, path: str, host: str) -> str:
    """The lines of a request's head that are the same each time."""
    _, named, before = _place(base)
    if not (_SAFE.fullmatch(before + path) and _SAFE.fullmatch(f"/{host or named}")):
        raise ValueError("not a path, or not a host")
    return (
        f"{method} {before}{path} HTTP/1.1\r\nHost: {host or named}\r\nuser-agent: llm-gateway\r\n"
        "accept-encoding: identity\r\n"
    )


def _head(engine: Engine, request: UpstreamRequest) -> bytes:
    """The request's head. ValueError for what would be more than one field in one."""
    host, fields = "", []
    for name, value in request.headers:
        if name == "host":
            host = value
        else:
            fields.append(f"{name}: {value}\r\n")
    if engine.api_key is not None:
        fields.append(f"authorization: Bearer {engine.api_key}\r\n")
    if request.body or request.method == "POST":
        fields.append(f"content-length: {len(request.body)}\r\n")
    text = "".join(fields)
    if text.count("\n") != len(fields) or text.count("\r") != len(fields) or "\0" in text:
        raise ValueError("a header field with a line break")
    return f"{_begins(engine.url, request.method, request.path, host)}{text}\r\n".encode("latin-1")
