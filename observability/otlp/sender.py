"""One POST to the collector: the only place in `observability` that opens connections.

The client is hardened: no cookies, no redirects (the data, and the
token in the headers, would go elsewhere), no proxies from the environment, no decompression, TLS verified. Of an answer
counts the head, and behind a 200 how much was not taken all the same.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import aiohttp
from yarl import URL

from observability.otlp.delivery import Answer, read_retry_after
from observability.otlp.partial import MOST_BYTES, read_rejected

SECONDS: Final = 10.0
"""For one attempt, as OTLP's exporters have it."""
_CONNECTIONS: Final = 3  # one per signal


@dataclass(frozen=True, slots=True)
class Collector:
    """Where it is: `url` without the signal's path. `headers` may hold a token. `ca_file`: PEM, None = the system's."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None


class Sender(Protocol):
    """Sends one body, compressed with gzip; never raises but CancelledError."""

    async def send(self, path: str, body: bytes, content_type: str) -> Answer: ...

    async def close(self) -> None: ...


class HttpSender:
    """Implements `Sender` with one session, opened at the first use."""

    def __init__(self, collector: Collector, *, seconds: float = SECONDS) -> None:
        self._collector = collector
        self._seconds = seconds
        # Read at the start, so that a file that is no certificate is told to whoever wrote the configuration.
        self._tls = _context(collector)
        self._session: aiohttp.ClientSession | None = None  # noqa: TID251 - hardened below, see the module

    async def send(self, path: str, body: bytes, content_type: str) -> Answer:
        """See Sender.send."""
        if self._session is None:
            self._session = self._open()
        headers = {**self._collector.headers, "content-type": content_type, "content-encoding": "gzip"}
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._session.post(
                    URL(self._collector.url + path, encoded=True),
                    data=io.BytesIO(body),
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _body(response)
                return Answer(
                    response.status,
                    retry_after=read_retry_after(response.headers.get("Retry-After", "")),
                    rejected=read_rejected(body, response.headers.get("Content-Type", "")),
                )
        except TimeoutError:
            return Answer(failure="timed out")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(failure=type(error).__name__)  # its text may quote what was sent

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:  # noqa: TID251
        return aiohttp.ClientSession(  # noqa: TID251
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=self._tls, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept"),
            headers={"user-agent": "llm-gateway", "accept-encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None),
        )


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """A short body, read to its end, so that the connection can be used again; a long one costs the connection, and is
    none."""
    found = b""
    while len(found) <= MOST_BYTES and (block := await response.content.read(MOST_BYTES)):
        found += block
    if len(found) <= MOST_BYTES:
        return found
    response.close()
    return b""


def _context(collector: Collector) -> ssl.SSLContext | bool:
    if not collector.url.startswith("https://"):
        return True
    return ssl.create_default_context(cafile=collector.ca_file)
