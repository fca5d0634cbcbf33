"""`GET /policy/bundle.tar.gz`: the policy in force as a signed bundle, for OPAs that poll (facts A1).

An OPA that can wait says `Prefer: wait=N` and its last ETag. It is answered as soon as another policy is in force, or
after N seconds with 304. The content type tells it that waiting works here; without that it polls by its own clock.
Deltas are never served: they carry no policies and no signatures, and an empty one wipes all data.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge.admin.answers import Answer, Ask
from edge.admin.pacing import Pace, Turns
from edge.policy.active import ActivePolicy
from policies.archive import archive
from policies.bundle import Bundle
from policies.sources import source_of

if TYPE_CHECKING:
    from policies.signing import Signer

MOST_WAITING: Final = 256
LONGEST_WAIT: Final = 300.0
_LONGEST_DELAY: Final = 5.0
"""Seconds that a client which asks too often is held; OPA gives up on an answer after ten."""
_TAR_TYPE: Final = "application/gzip"
_LONG_POLL_TYPE: Final = "application/vnd.openpolicyagent.bundles"
_PEM_TYPE: Final = "application/x-pem-file"
# RFC 7240 2: preferences are separated by commas, their parameters by semicolons. OPA sends
# `modes=snapshot,delta;wait=10`, where `wait` is a parameter by the letter.
_WAIT: Final = re.compile(r"(?:^|[,;])[ \t]*wait[ \t]*=[ \t]*([0-9]{1,6})[ \t]*(?=[,;]|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """An archive; `revision` is the policy's, `etag` also names the key that signed it."""

    revision: str
    etag: str
    body: bytes


class BundleServer:
    """The bundle and the key to check it with. `signer` blocks and may raise StateError, `clock` is monotonic."""

    def __init__(
        self,
        active: ActivePolicy,
        signer: Callable[[], Signer],
        *,
        clock: Callable[[], float],
        pace: Pace | None = None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._active = active
        self._signer = signer
        self._clock = clock
        self._pace = pace or Pace()
        self._waiting = Turns(most_waiting)
        self._building = asyncio.Lock()
        self._served: Served | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for another policy now."""
        return self._waiting.taken

    async def bundle(self, ask: Ask) -> Answer:
        """Route: the archive, or 304 if the caller has it."""
        seconds = wait_of(ask.headers.get("prefer", ""))
        kind = _TAR_TYPE if seconds is None else _LONG_POLL_TYPE
        known = tags_of(ask.headers.get("if-none-match", ""))
        served = await self._current()
        if served.etag in known and seconds:
            await self._hold(ask, served, seconds)
            served = await self._current()
        if served.etag in known:
            return Answer(304, _headers(served, kind))
        client = f"{ask.principal.key_id} {source_of(ask.inbound.client.ip)}"
        delay = self._pace.wait(client, self._clock(), _LONGEST_DELAY)
        if delay:
            await self._hold(ask, served, delay)
            served = await self._current()
        return Answer(200, _headers(served, kind), served.body)

    async def public_key(self, _: Ask) -> Answer:
        """Route: the public half of the key that signs, PEM; its id is in `x-key-id`."""
        signer = await asyncio.to_thread(self._signer)
        return Answer(200, {"content-type": _PEM_TYPE, "x-key-id": signer.kid}, signer.public_pem)

    async def _hold(self, ask: Ask, served: Served, seconds: float) -> None:
        """Wait until another policy is in force, at most `seconds`; then the caller has to be an admin still."""
        with self._waiting.take():
            _ = await self._active.differs(served.revision, min(seconds, LONGEST_WAIT))
        await ask.readmit()

    async def _current(self) -> Served:
        """The archive of the policy in force, made once for all who ask."""
        async with self._building:
            bundle = self._active.bundle
            if self._served is None or self._served.revision != self._active.revision:
                self._served = await asyncio.to_thread(self._build, self._active.revision, bundle)
            return self._served

    def _build(self, revision: str, bundle: Bundle) -> Served:
        signer = self._signer()
        return Served(revision, f'"{revision}.{signer.kid}"', archive(bundle, signer))


def wait_of(prefer: str) -> float | None:
    """The seconds that a `Prefer` header offers to wait; None if it does not."""
    match = _WAIT.search(prefer)
    return None if match is None else float(match[1])


def tags_of(value: str) -> frozenset[str]:
    """The entity tags of an `If-None-Match`, which RFC 9110 13.1.2 compares weakly. `*` asks about no tag of ours."""
    return frozenset(tag.strip().removeprefix("W/") for tag in value.split(","))


def _headers(served: Served, kind: str) -> dict[str, str]:
    return {"content-type": kind, "etag": served.etag, "cache-control": "private, no-cache", "vary": "prefer"}
