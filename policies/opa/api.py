"""One decision over OPA's REST data API: `POST /v1/data/gateway/authz/decision?strict-builtin-errors=true`.

Strict, because otherwise a failing builtin is undefined, and `not net.cidr_contains(...)` of garbage is true (facts 0).
Our own fifteen lines on aiohttp, not opa-python-client: that has no UNIX socket and no private CA, drops OPA's error
text, and retries a conflict in a policy for 0.9 s (facts A2).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from policies.bundle import ENTRY
from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, as_object, as_str

ANSWER: Final = "gateway/llm_gateway/pushed/answer"
"""Below `/v1/data/`: `{"revision", "decision"}`, of a policy that was pushed whole (`admin.py`)."""
MAX_ANSWER: Final = 1 << 20
_UNIX: Final = "unix"
_CONNECTIONS: Final = 32
_STRICT: Final = "?strict-builtin-errors=true"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an OPA is: `http(s)://host[:port][/prefix]` or `unix:///path.sock`; how to be let in, whom to trust."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme == _UNIX:
            if parts.netloc or not parts.path.startswith("/"):
                raise ValueError("a UNIX socket is unix:///path")
        elif parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("write http://host:port, https://host:port or unix:///path")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("the URL holds no user, query or fragment; the token has a key of its own")

    @property
    def base(self) -> str:
        """What paths are appended to."""
        return "http://opa" if urlsplit(self.url).scheme == _UNIX else self.url.rstrip("/")

    def check(self) -> None:
        """OSError (an ssl.SSLError is one) if the CA file cannot be read."""
        if self.ca_file is not None:
            ssl.create_default_context(cafile=str(self.ca_file))

    def connector(self) -> aiohttp.BaseConnector:
        """A connector to it. OSError as `check`."""
        parts = urlsplit(self.url)
        if parts.scheme == _UNIX:
            return aiohttp.UnixConnector(parts.path, limit=_CONNECTIONS)
        if parts.scheme == "http":
            return aiohttp.TCPConnector(limit=_CONNECTIONS)
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        return aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=context)

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}


class DataApi:
    """The decisions of one OPA. To be made inside the running loop."""

    def __init__(self, place: Place, *, timeout: float | None, path: str = ENTRY) -> None:
        """`timeout`: seconds for one decision, connecting included; None if the caller sees to that. `path` is what is
        asked for, below `/v1/data/`."""
        self._timeout = timeout
        self._url = f"{place.base}/v1/data/{path}{_STRICT}"
        self._health = place.base + "/health"
        self._session = aiohttp.ClientSession(  # noqa: TID251 - a seam of its own
            connector=place.connector(),
            headers={"content-type": "application/json", **place.headers()},
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def evaluate(self, document: bytes) -> JSON:
        """The value for the input `document`. PolicyEngineDown or PolicyFault."""
        try:
            async with asyncio.timeout(self._timeout):
                status, body = await self._post(b'{"input":' + document + b"}")
        except TimeoutError:
            raise PolicyEngineDown(f"no answer within {self._timeout or 0:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise PolicyEngineDown(type(error).__name__) from None
        except asyncio.CancelledError:
            # aiohttp cancels who waits for a connection when the session closes; nobody asked this task to end, and the
            # line would take it for a caller who left, and answer nothing.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise PolicyEngineDown("closed") from None
        return _result(status, body)

    async def healthy(self, within: float) -> bool:
        """Whether it says that it is well, within so many seconds."""
        try:
            async with asyncio.timeout(within), self._session.get(self._health, allow_redirects=False) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError):  # a TimeoutError is an OSError
            return False

    async def reachable(self, within: float) -> bool:
        """Whether it answers at all, within so many seconds; it may keep its health to itself."""
        try:
            async with asyncio.timeout(within), self._session.get(self._health, allow_redirects=False):
                return True
        except (aiohttp.ClientError, OSError):
            return False

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        async with self._session.post(self._url, data=body, allow_redirects=False) as answer:
            return answer.status, await _read(answer)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    blocks: list[bytes] = []
    size = 0
    async for block in answer.content.iter_any():
        size += len(block)
        if size > MAX_ANSWER:
            raise PolicyFault("the answer is too large")
        blocks.append(block)
    return b"".join(blocks)


def _result(status: int, body: bytes) -> JSON:
    try:
        document: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if status == HTTPStatus.OK and isinstance(document, dict):
        if "result" in document:
            return document["result"]
        raise PolicyFault("the decision is undefined")
    code = as_str(as_object(document).get("code"))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and code:
        raise PolicyFault(f"evaluation failed: {_first_error(as_object(document)) or code}")
    # 401, 404, a proxy's 502: whatever it is, it is not the policy that spoke.
    raise PolicyEngineDown(f"answered {status} {code}".rstrip())


def _first_error(document: dict[str, JSON]) -> str:
    errors = document.get("errors")
    first = as_object(errors[0]) if isinstance(errors, list) and errors else {}
    message, place = as_str(first.get("message")), as_object(first.get("location"))
    file, row = as_str(place.get("file")), place.get("row")
    return f"{file}:{row}: {message}"[:300] if file else message[:300]
