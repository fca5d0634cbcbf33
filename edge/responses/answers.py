"""The routes of one response: look up, delete, list what was sent for it."""

from __future__ import annotations

from dataclasses import dataclass

from edge.dialects.responses.kept import page, parameters
from edge.dialects.writing import write
from edge.intake.fields import fail
from edge.intake.routes import Route, Stored
from edge.policy.enforcement import Asked, Enforcement
from edge.responses.shelf import Shelf
from engines.catalogue import Catalogue
from policies.call import Operation
from policies.decision import Permit
from policies.errors import Refusal
from policies.exchange import Exchange
from policies.json import as_str
from policies.principal import Principal, Scope
from policies.reasons import Reason


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and who decides."""

    exchange: Exchange
    principal: Principal
    enforcement: Enforcement
    catalogue: Catalogue

    async def decide(self, route: Route, model: str) -> None:
        """Refusal for a caller that may not use this model (any more), or, of "", may not call from here."""
        permit = await self.permit(route, model)
        if self.catalogue.resolve(permit.model):
            self.exchange.model = permit.model

    async def permit(self, route: Route, model: str) -> Permit:
        """The same, where the exchange is not about that model."""
        asked = Asked(route.operation if model else Operation.ME, route.dialect, model=model)
        return await self.enforcement.permit(self.exchange, self.principal, asked, self.catalogue.meaning)


async def stored_answer(shelf: Shelf, ask: Question, route: Route, query: str) -> bytes:
    """The document.

    What the model once said is as good as asking it: who lost it cannot read on. Everybody may delete what is theirs.
    Refusal.
    """
    owner = ask.principal.id
    if Scope.INFERENCE not in ask.principal.scopes:
        raise Refusal(Reason.SCOPE_MISSING)
    if route.stored is Stored.DELETE:
        await ask.decide(route, "")
        await shelf.delete(owner, route.response)
        return write({"id": route.response, "object": "response", "deleted": True})
    kept = await shelf.find(owner, route.response)
    await ask.decide(route, "" if kept is None else as_str(kept.document["model"]))
    if kept is None:
        raise Refusal(Reason.RESPONSE_NOT_FOUND)
    if route.stored is Stored.ITEMS:
        return write(page(kept.items, query))
    if parameters(query).get("stream") == "true":
        fail((None, "stream"), "What is kept is not streamed: leave it out.")
    return write(kept.document)
