"""A policy engine that is somebody else's OPA: it gets its policy by itself (a bundle), or has it pushed."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from policies.bundle import ENTRY, Bundle
from policies.engine import PolicyEngineDown, PolicyFault
from policies.json import JSON, as_object
from policies.opa.api import ANSWER, DataApi, Place
from policies.opa.asked import Asked

_log = logging.getLogger(__name__)
_LOOK: Final = 1.0


class RemoteEngine:
    """Asks the OPA at `place`. With a `bundle` it pushes that, and again whenever the OPA has lost it."""

    kind: Final = "remote"

    def __init__(self, place: Place, bundle: Bundle | None, *, timeout: float) -> None:
        """`timeout`: seconds for one decision."""
        self._place = place
        self._bundle = bundle
        self._timeout = timeout
        self._api = DataApi(place, timeout=timeout, path=ENTRY if bundle is None else ANSWER)
        self._ready = asyncio.Event()
        self._asked = Asked()
        self._said = ""
        self._there = True
        self.revision: Final = "" if bundle is None else bundle.revision
        """Of the bundle that was pushed; "" where the OPA has its own ways."""

    @property
    def ready(self) -> bool:
        """Whether it answers, as far as is known."""
        return self._ready.is_set() and self._there

    async def start(self) -> None:
        """Push what is to be pushed; an OPA that is away gets it once it is there, and until then all is denied."""
        if self._bundle is None:
            self._ready.set()
            await self._say_what_is_missing()
            return
        from policies.opa.admin import push  # requests, urllib3 and more: 35 ms, only where something is pushed

        try:
            await push(self._place, self._bundle)
            self._ready.set()
        except PolicyEngineDown as error:
            self._there = False
            self._say(f"{error.detail}; every request is denied until it has the policy")

    async def _say_what_is_missing(self) -> None:
        """An OPA that is away, or has no policy yet, denies everything: whoever starts the gateway is to know why."""
        try:
            await self._api.evaluate(b"{}")
        except PolicyEngineDown as error:
            self._there = False
            self._say(f"{error.detail}; every request is denied until it answers")
        except PolicyFault as error:
            self._say(
                f"{error.detail}; every request is denied until it has the policy: let it fetch the bundle "
                "(docs/policy-fleet.md), or set `policy.push: true`"
            )

    def _say(self, problem: str) -> None:
        """Log it, once until it is another one: the OPA is looked at every second."""
        if problem and problem != self._said:
            _log.warning("remote OPA %s: %s", self._place.url, problem)
        self._said = problem

    async def run(self) -> None:
        """Look whether the OPA is there, and still has what was pushed: one that was started anew has nothing."""
        bundle = self._bundle
        while bundle is None:
            await asyncio.sleep(_LOOK)
            self._there = await self._api.reachable(_LOOK)
            self._say("" if self._there else "it does not answer; every request is denied until it does")
        from policies.opa.admin import push, pushed

        while True:
            await asyncio.sleep(_LOOK)
            try:
                if await pushed(self._place) == self.revision:
                    self._ready.set()
                    self._there = True
                    self._say("")
                    continue
                self._ready.clear()
                self._say("it does not have the policy, which is pushed now")
                await push(self._place, bundle)
                self._ready.set()
                self._there = True
            except PolicyEngineDown as error:
                self._there = False
                self._say(error.detail)

    async def evaluate(self, document: bytes) -> JSON:
        """The decision's value for the input `document`. PolicyEngineDown or PolicyFault."""
        with self._asked:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._ready.wait()
            except TimeoutError:
                raise PolicyEngineDown("the policy is not there yet") from None
            value = await self._api.evaluate(document)
        return value if self._bundle is None else self._ours(value)

    def _ours(self, value: JSON) -> JSON:
        """The decision in an answer by our revision. Another gateway may have pushed another policy meanwhile."""
        answer = as_object(value)
        if answer.get("revision") != self.revision:
            raise PolicyEngineDown("the OPA has another policy")
        return answer.get("decision")

    async def retire(self) -> None:
        """`close` it once the questions under way are answered."""
        await self._asked.over(2 * self._timeout)
        await self.close()

    async def close(self) -> None:
        await self._api.close()
