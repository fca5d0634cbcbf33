"""What the admin listener answers: `/healthz` (the process is there), `/readyz` (send it traffic), and what admins ask.

Readiness goes off first when a drain begins, so that a balancer stops sending before the sockets close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from edge.admin.api import AdminApi
from edge.dialects.errors import JSON_TYPE, render
from edge.listener.inbound import Inbound
from observability.ids import new_id
from policies.call import Dialect
from policies.errors import Refusal
from policies.json import Object
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class Readiness:
    """`ready` is whether to send traffic; `why` says what is missing, in words of ours."""

    ready: bool
    why: str


@dataclass(frozen=True, slots=True)
class AdminHandler:
    """The handler of the admin listener. Without an `api` there is health and nothing else."""

    readiness: Callable[[], Readiness]
    randomness: Callable[[int], bytes]
    api: AdminApi | None = None

    async def __call__(self, inbound: Inbound) -> None:
        """Answer one request."""
        request_id = new_id(self.randomness)
        if inbound.method != "GET" or inbound.path not in {"/healthz", "/readyz"}:
            if self.api is not None:
                await self.api(inbound, request_id)
                return
            await inbound.answer(*render(Refusal(Reason.UNKNOWN_ROUTE), Dialect.OPENAI, request_id))
            return
        inbound.mark_authenticated()  # health needs no key, and a probe must not starve behind the stranger share
        status, document = self._answer(inbound.path)
        headers = {"content-type": JSON_TYPE, "cache-control": "no-store", "x-request-id": request_id}
        await inbound.answer(status, headers, orjson.dumps(document))

    def _answer(self, path: str) -> tuple[int, Object]:
        if path == "/healthz":
            return 200, {"status": "ok"}
        state = self.readiness()
        return (200 if state.ready else 503), {"status": "ready" if state.ready else "not ready", "why": state.why}
