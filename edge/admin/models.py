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
from edge.stock.choosing import KINDS, fetchers, spelling
from edge.stock.looking import seen
from edge.stock.pulls import Pulls
from engines.catalogue import Catalogue
from engines.contract import Engine, Target
from engines.pulling import Puller, PullRefused, pull
from observability.live.watching import event
from policies.errors import Refusal, UpstreamError
from policies.lifecycle.text import clean
from policies.names import is_name
from policies.reasons import Reason

ENSURE: Final = "/models/ensure"
_KNOWN: Final = frozenset({"model", "pull", "engine"})


class Engines(Protocol):
    """What `Fleet` knows of them."""

    @property
    def engines(self) -> Mapping[Engine, bool]: ...
    @property
    def catalogue(self) -> Catalogue: ...

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
        means = self._fleet.catalogue.meaning(model)
        name = spelling(model, means)
        which = self._choose(name, engine)
        if isinstance(which, str):
            yield event("missing", text=which)
            return
        with self._pulls.take(means):
            async with aclosing(self._pull(which, name)) as lines:
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

    def _choose(self, model: str, name: str | None) -> Engine | str:
        """The engine to fetch `model`; or why there is none."""
        try:
            able = fetchers(self._fleet.engines, model, named=name)
        except Refusal as error:
            if error.reason is Reason.MODEL_NOT_PERMITTED:
                return error.detail
            if name is not None:
                return f"{clean(name, 40)} is no engine that is up and fetches it"
            return f"no engine has it, and none that is up fetches it. {KINDS}"
        if len(able) > 1:
            names = ", ".join(engine.name for engine in able)
            return f"no engine has it, and several could fetch it: say which with option `engine` ({names})"
        return able[0]
