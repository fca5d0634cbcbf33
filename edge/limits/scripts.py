"""The line to Redis: runs our scripts there, within bounds of time, with one kind of error.

The only module that imports redis-py, and only when a Redis is configured.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from edge.limits.contract import StoreDown

PREFIX: Final = "llm-gateway:{limits}:"
"""Of all keys. The braces put them into one slot of a cluster, as a script demands."""
TIMEOUT: Final = 0.25
"""Seconds to connect, and for each read. A Redis next door answers in one thousandth of that."""
WHOLE: Final = 2 * TIMEOUT
"""Seconds for one script, with connecting, greeting and a place in the pool."""
CONNECTIONS: Final = 64
"""So many that even a Redis that takes 100 ms for an answer serves 640 steps a second."""


_HERE: Final = Path(__file__).parent
QUIET: Final = 5.0
"""Seconds after which a channel on which nothing was said is asked whether it is still there."""


class Script:
    """A script, behind clock.lua, and the name Redis knows it by."""

    def __init__(self, file: str, folder: Path = _HERE) -> None:
        parts = (_HERE / "clock.lua", folder / file)
        self.text = "\n".join(part.read_text(encoding="ascii") for part in parts)
        # SHA-1 is Redis's name for a script, no protection
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def connect(url: str, *, timeout: float = TIMEOUT) -> Redis:
    """A client that never tries twice by itself: a hold done twice would be charged twice. Opens nothing yet."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


class Scripts:
    """Runs scripts. `time` is what they are told it is, in milliseconds (tests); "" = Redis takes its own."""

    def __init__(self, client: Redis, *, prefix: str = PREFIX, whole: float = WHOLE) -> None:
        self._client = client
        self._whole = whole
        self.prefix = prefix
        self.time = ""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> list[int]:
        """The script's answer, whole numbers. `args` get the time as their second. Raises StoreDown.

        After StoreDown the script may have run, or may yet.
        """
        return cast("list[int]", await self._reply(script, keys, args))

    async def texts(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> list[str]:
        """The same for a script that answers with texts, too; numbers become texts."""
        reply = await self._reply(script, keys, args)
        return [item.decode() if isinstance(item, bytes) else str(item) for item in reply]

    async def _reply(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> list[int | bytes]:
        keys = [self.prefix + key for key in keys]
        rest = (*keys, args[0], self.time, *args[1:])
        try:
            async with asyncio.timeout(self._whole):
                try:
                    reply: list[int | bytes] = await self._client.evalsha(script.sha, len(keys), *rest)
                except NoScriptError:  # a new or restarted Redis
                    reply = await self._client.eval(script.text, len(keys), *rest)
        except (
            Exception
        ) as error:  # a slip inside the client (uvloop: RuntimeError for a closed transport) is an outage
            raise StoreDown(type(error).__name__) from error
        return reply

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """What is said on `channel` (without the prefix) from now on; first b"", once it is heard. Raises StoreDown."""
        asked = False
        try:
            async with self._client.pubsub() as line:
                await line.subscribe(self.prefix + channel)
                while True:
                    said = await line.get_message(timeout=QUIET)
                    if said is None and asked:
                        break  # no answer to the ping
                    asked = said is None
                    if said is None:
                        await line.ping()
                    elif said["type"] == "message":
                        yield said["data"]
                    elif said["type"] == "subscribe":
                        yield b""
        except Exception as error:
            raise StoreDown(type(error).__name__) from error
        raise StoreDown("silence")

    async def close(self) -> None:
        """Close the connections."""
        try:
            await self._client.aclose()
            await self._client.connection_pool.disconnect()
        except Exception as error:  # noqa: BLE001 - it is going away anyway
            _ = error
