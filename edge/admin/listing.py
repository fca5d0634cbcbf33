"""`GET /models`: every model the gateway knows, the engines that hold it, and how each dialect is served for it.

    {"object":"models","models":[{"id":…,"name":…,"aliases":[…],"created":…,"context":…,
     "dialects":{"openai":"native","anthropic":"native",…},
     "engines":[{"name":…,"kind":…,"model":…,"dialects":{…}}]}]}

`id` is what callers ask for, `name` what rules are matched against, `model` what the engine calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from edge.admin.answers import Answer, Ask, Route, json_answer
from edge.relay.native.ways import Ways
from engines.catalogue import Catalogue, Entry
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.reasons import Reason

MODELS: Final = "/models"


class Catalogued(Protocol):
    """What `Fleet` has."""

    @property
    def catalogue(self) -> Catalogue: ...


class Listing:
    """The route."""

    def __init__(self, fleet: Catalogued, ways: Ways) -> None:
        self._fleet = fleet
        self._ways = ways

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """By method and path, for `AdminApi`."""
        return {("GET", MODELS): self.show}

    async def show(self, ask: Ask) -> Answer:
        """Route: see the module."""
        if ask.inbound.query:
            raise Refusal(Reason.UNKNOWN_PARAMETER)
        catalogue = self._fleet.catalogue
        aliases: dict[str, list[JSON]] = {}
        for alias in catalogue.aliases():
            aliases.setdefault(alias.name, []).append(alias.id)
        shown: list[JSON] = [self._model(catalogue, entry, aliases) for entry in catalogue.models()]
        return json_answer(200, {"object": "models", "models": shown})

    def _model(self, catalogue: Catalogue, entry: Entry, aliases: Mapping[str, list[JSON]]) -> Object:
        targets = catalogue.resolve(entry.name)
        engines: list[JSON] = [
            {
                "name": target.engine.name,
                "kind": target.engine.kind.value,
                "model": target.model.id,
                "dialects": {**self._ways.dialects((target,))},
            }
            for target in targets
        ]
        return {
            "id": entry.id,
            "name": entry.name,
            "aliases": aliases.get(entry.name, []),
            "created": entry.created,
            "context": entry.context,
            "dialects": {**self._ways.dialects(targets)},
            "engines": engines,
        }
