"""Headers and a socket's peer in, a Principal or one Refusal out: the order in which identity is established.

extract     one credential, or none                      credential.py
look up     `lgw_...` in memory; else a JWT, from cache  directory.py, jwt.py
spend       a budget before a signature is verified      lockout.py
judge       failures count against the source            lockout.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from edge.identity.credential import credential
from edge.identity.directory import KeyDirectory
from edge.identity.lockout import Lockout
from edge.identity.token import PREFIX
from policies.errors import Refusal
from policies.exchange import Client
from policies.principal import Principal
from policies.reasons import Reason
from policies.sources import source_of


class TokenVerifier(Protocol):
    """What `JwtVerifier` offers; named here so that a gateway without issuers never imports a JWT library (90 ms)."""

    def cached(self, text: str) -> Principal | None: ...
    async def verify(self, text: str) -> Principal: ...


class Authenticator:
    """The one door for credentials. `now` is seconds since the epoch, `monotonic` for budgets and locks."""

    def __init__(
        self,
        directory: KeyDirectory,
        verifier: TokenVerifier | None = None,
        *,
        lockout: Lockout | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._verifier = verifier
        self._lockout = lockout if lockout is not None else Lockout()
        self._now = now
        self._monotonic = monotonic

    async def authenticate(self, headers: Mapping[str, str], client: Client) -> Principal:
        """Who is calling. `headers` has lower-case names; only `client.ip`, the socket's peer, is believed.

        Raises Refusal: MISSING_CREDENTIAL, INVALID_CREDENTIAL (one text for every cause) or, when the source has failed
        too often, TOO_MANY_FAILURES with `retry_after`. A missing credential is no failed guess and is not counted.
        """
        source = source_of(client.ip)
        try:
            return await self._identify(credential(headers), source)
        except Refusal as refusal:
            if refusal.reason is not Reason.INVALID_CREDENTIAL:
                raise
            wait = self._lockout.fail(source, self._monotonic())
            if not wait:
                raise
            raise Refusal(Reason.TOO_MANY_FAILURES, retry_after=wait, detail=refusal.detail) from None

    async def _identify(self, text: str, source: str) -> Principal:
        if text.startswith(PREFIX):
            return self._directory.authenticate(text, self._now())
        if self._verifier is None:
            raise Refusal(Reason.INVALID_CREDENTIAL, detail="neither a key nor a token")
        known = self._verifier.cached(text)
        if known is not None:
            return known
        wait = self._lockout.may_verify(source, self._monotonic())
        if wait:
            raise Refusal(Reason.TOO_MANY_FAILURES, retry_after=wait, detail="jwt: too many unknown tokens")
        return await self._verifier.verify(text)
