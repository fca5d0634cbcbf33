"""An issuer's keys: read once from a file, or fetched by URL and kept.

One coroutine (`JwksCache.run`) does all fetching, so there is never more than one fetch at a time, and a caller that
leaves while waiting aborts nothing for the others. An unknown `kid` may ask for a refresh, at most once a minute,
otherwise anyone with a made-up `kid` could use the gateway to hammer the identity provider. Keys stay usable for six
hours of outage, then nothing verifies (facts/security.md 2.2).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from edge.identity.issuer import Issuer, check_url
from edge.identity.keyset import BadKeySetError, KeySet, PublicKey, read_jwks, read_key_file
from edge.identity.state import StateError

MAX_DOCUMENT: Final = 256 * 1024
FETCH_SECONDS: Final = 5.0
_OK: Final = 200
_log = logging.getLogger(__name__)


class FetchError(Exception):
    """The document could not be had; the text is for the log."""


class Fetcher(Protocol):
    """Gets a JWKS document: raises FetchError, never blocks longer than a few seconds."""

    async def __call__(self, url: str) -> bytes: ...


class KeySource(Protocol):
    """Where a verifier gets an issuer's keys."""

    async def key(self, kid: str | None, alg: str) -> PublicKey | None: ...
    async def run(self) -> None: ...


class HttpFetcher:
    """Fetches over HTTP with nothing remembered and nothing followed.

    A new session for each of a few fetches an hour: no cookie or connection outlives it. `trust_env` off ignores proxy
    variables and .netrc; a redirect would leave the configured host; an encoded answer could be a decompression bomb.
    """

    def __init__(self, timeout: float = FETCH_SECONDS) -> None:
        self._timeout = timeout

    async def __call__(self, url: str) -> bytes:
        check_url(url)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._get(url)
        except TimeoutError:
            raise FetchError("timed out") from None
        except (aiohttp.ClientError, OSError) as error:
            raise FetchError(type(error).__name__) from None

    async def _get(self, url: str) -> bytes:
        headers = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}
        # In a thread: it reads all of the system's certificates. Each time: they may have changed since the last.
        context = await asyncio.to_thread(ssl.create_default_context)
        async with (
            aiohttp.ClientSession(  # noqa: TID251 - this is one of the modules that may
                trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.get(url, headers=headers, allow_redirects=False, ssl=context) as response,
        ):
            if response.status != _OK:
                raise FetchError(f"status {response.status}")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise FetchError("an encoded answer")
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > MAX_DOCUMENT:
                    raise FetchError("larger than 256 KiB")
            return bytes(data)


class FixedKeys:
    """Keys that came from a file."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def key(self, kid: str | None, alg: str) -> PublicKey | None:
        return self._keys.select(kid, alg)

    async def run(self) -> None:
        """Nothing to keep fresh."""


@dataclass(frozen=True, slots=True)
class JwksTimes:
    """Seconds: how long a set counts as fresh, how long it is used at most, the least time between a fetch and one that
    a request asks for, the first pause after a failure (doubled up to `gap`), and how long a request waits."""

    fresh: float = 600.0
    stale: float = 6 * 3600.0
    gap: float = 60.0
    retry: float = 2.0
    wait: float = FETCH_SECONDS + 1.0


class JwksCache:
    """The keys behind one URL. `now` is monotonic seconds. Without a running `run()` there are no keys."""

    def __init__(self, url: str, fetch: Fetcher, *, now: Callable[[], float], times: JwksTimes | None = None) -> None:
        self._url = url
        self._fetch = fetch
        self._now = now
        self._times = times or JwksTimes()
        self._keys: KeySet | None = None
        self._fetched = 0.0  # when `_keys` came
        self._tried: float | None = None  # when the last attempt began
        self._fetching = False
        self._failures = 0
        self._asked = asyncio.Event()
        self._attempt = asyncio.Event()  # a new one for each attempt; set when it is over

    async def key(self, kid: str | None, alg: str) -> PublicKey | None:
        """The key for (`kid`, `alg`), waiting for a fetch if one is under way or allowed; None if there is none."""
        known = self._select(kid, alg)
        if known is not None or not (self._fetching or self._may_ask()):
            return known
        attempt = self._attempt
        self._asked.set()
        try:
            async with asyncio.timeout(self._times.wait):
                await attempt.wait()
        except TimeoutError:
            return None
        return self._select(kid, alg)

    async def run(self) -> None:
        """Fetch at once, again before the set gets old, when asked, and after a failure; until cancelled."""
        while True:
            await self._refresh()
            self._asked.clear()
            times = self._times
            pause = min(times.gap, times.retry * 2.0 ** min(self._failures, 16)) if self._failures else times.fresh
            try:
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            except TimeoutError:
                continue

    def _may_ask(self) -> bool:
        return self._tried is None or self._now() - self._tried >= self._times.gap

    def _select(self, kid: str | None, alg: str) -> PublicKey | None:
        if self._keys is None or self._now() - self._fetched > self._times.stale:
            return None
        return self._keys.select(kid, alg)

    async def _refresh(self) -> None:
        self._tried, self._fetching = self._now(), True
        try:
            self._keys = read_jwks(await self._fetch(self._url))
            self._fetched, self._failures = self._now(), 0
        except (FetchError, BadKeySetError) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours here must not end the refreshing for good
            self._failed(type(error).__name__)
        finally:
            self._fetching = False
            over, self._attempt = self._attempt, asyncio.Event()
            over.set()

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures == 1:  # once per outage
            _log.warning("the keys at %s cannot be fetched (%s), going on with those known so far", self._url, why)


def keys_of(issuer: Issuer, fetch: Fetcher, *, now: Callable[[], float] = time.monotonic) -> FixedKeys | JwksCache:
    """The key source that `issuer` is configured with; StateError if its key file cannot be used."""
    if issuer.jwks_url is not None:
        return JwksCache(issuer.jwks_url, fetch, now=now)
    if issuer.key_file is None:
        raise ValueError(f"issuer {issuer.name} has neither key_file nor jwks_url")
    try:
        return FixedKeys(read_key_file(issuer.key_file.read_bytes()))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateError(f"cannot read {issuer.key_file} ({reason})", f"see key_file of issuer {issuer.name}") from None
    except BadKeySetError as error:
        raise StateError(f"{issuer.key_file} cannot be used", str(error)) from None
