"""`POST /models/ensure`: is that model there, and if not, may it be fetched? Answers in lines of JSON, as it goes.

    {"event":"present"}                        there; the last line
    {"event":"pulling","engine":…,"percent":…} being fetched
    {"event":"missing","text":…}               not there, and why it was not fetched; the last line

For admins: fetching a model fills a disk and loads what strangers made (facts/engines.md: CVE-2026-5843).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, Protocol

from edge.admin.answers import Ask, Flow, Route
from edge.admin.fields import read_fields
from edge.admin.live import NDJSON
from edge.stock.looking import seen
from edge.stock.pulls import Pulls
from engines.contract import Engine, Target
from engines.pulling import Puller, PullRefused, can_pull, pull
from observability.live.watching import event
from policies.errors import Refusal, UpstreamError
from policies.lifecycle.text import clean
from policies.names import canonical, is_name
from policies.reasons import Reason

ENSURE: Final = "/models/ensure"
_KNOWN: Final = frozenset({"model", "pull", "engine"})


class Engines(Protocol):
    """What `Fleet` knows of them."""

    @property
    def engines(self) -> Mapping[Engine, bool]: ...

    def offers(self, model: str) -> tuple[Target, ...]: ...
    async def look_again(self, model: str) -> tuple[Target, ...]: ...


class ModelDesk:
    """The route."""

    def __init__(self, fleet: Engines, puller: Puller, pulls: Pulls) -> None:
        self._fleet = fleet
        self._puller = puller
        self._pulls = pulls

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """By method and path, for `AdminApi`."""
        return {("POST", ENSURE): self.ensure}

    async def ensure(self, ask: Ask) -> Flow:
        """Route: see the module."""
        fields = await read_fields(ask, _KNOWN)
        model, engine, wanted = fields.text("model"), fields.maybe("engine"), fields.flag("pull")
        if not is_name(model):
            raise Refusal(Reason.INVALID_PARAMETER, param="model")
        lines = self._lines(model, engine, wanted=wanted)
        return Flow({"content-type": NDJSON}, lines, lambda reason: event("missing", text=reason.value))

    async def _lines(self, model: str, engine: str | None, *, wanted: bool) -> AsyncGenerator[bytes]:
        if self._fleet.offers(model) or await self._fleet.look_again(model):
            yield event("present")
            return
        if not wanted:
            yield event("missing", text="no engine has it")
            return
        which = self._choose(engine)
        if isinstance(which, str):
            yield event("missing", text=which)
            return
        with self._pulls.take(canonical(model)):
            async with aclosing(self._pull(which, model)) as lines:
                async for line in lines:
                    yield line

    async def _pull(self, engine: Engine, model: str) -> AsyncGenerator[bytes]:
        yield event("pulling", engine=engine.name, percent=0)
        try:
            async with aclosing(pull(self._puller, engine, model)) as percents:
                async for percent in percents:
                    yield event("pulling", engine=engine.name, percent=percent)
        except PullRefused as error:
            yield event("missing", text=f"{engine.name} does not fetch it: {clean(str(error), 200)}")
            return
        except UpstreamError as error:
            yield event("missing", text=f"{engine.name} failed: {clean(error.detail or error.reason.value, 200)}")
            return
        if await seen(self._fleet, model):
            yield event("present")
        else:
            yield event("missing", text=f"{engine.name} has fetched it, but does not list it under that name")

    def _choose(self, name: str | None) -> Engine | str:
        """The engine to fetch it; or why there is none."""
        able = [engine for engine, up in self._fleet.engines.items() if up and can_pull(engine)]
        if name is not None:
            found = [engine for engine in able if engine.name == name]
            return found[0] if found else f"{clean(name, 40)} is no engine that is up and fetches models"
        if not able:
            return "no engine has it, and none that is up fetches models (Ollama and Docker Model Runner do)"
        if len(able) > 1:
            names = ", ".join(engine.name for engine in able)
            return f"no engine has it, and several could fetch it: say which with option `engine` ({names})"
        return able[0]
