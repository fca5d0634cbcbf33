"""`POST /models/remove`: `{"model": ..., "engine": ...}` has an engine delete a model. For admins.

Answers `{"removed": true, "engine": ..., "model": ...}`, the model by its canonical name, or `{"removed": false,
"text": ...}` and why. Without `engine` there may be only one that has the model and deletes models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.admin.answers import Answer, Ask, Route, json_answer
from edge.admin.fields import read_fields
from edge.shared import Shared
from edge.stock.choosing import KINDS
from edge.stock.deleting import check_spelling, check_unused, delete
from edge.stock.looking import lost, seen
from engines.adapters.registry import adapter_for
from engines.contract import Target
from policies.decision import admins_permit
from policies.errors import Refusal, UpstreamError
from policies.lifecycle.text import clean
from policies.names import is_name
from policies.reasons import Reason

REMOVE: Final = "/models/remove"
_KNOWN: Final = frozenset({"model", "engine"})
_LONGEST: Final = 40


class ModelRemoval:
    """The route."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """By method and path, for `AdminApi`."""
        return {("POST", REMOVE): self.remove}

    async def remove(self, ask: Ask) -> Answer:
        """Route: see the module."""
        fields = await read_fields(ask, _KNOWN)
        model, engine = fields.text("model"), fields.maybe("engine")
        if not is_name(model):
            raise Refusal(Reason.INVALID_PARAMETER, param="model")
        fleet = self._shared.fleet
        check_spelling(model, fleet.catalogue)
        which = _choose(fleet.offers(model) or await fleet.look_again(model), engine)
        if isinstance(which, str):
            return json_answer(200, {"removed": False, "text": which})
        try:
            check_unused(which, self._shared.inflight.exchanges(), self._shared.pulls)
            await delete(self._shared.transport, admins_permit(ask.principal, which.model.name), which)
        except (Refusal, UpstreamError) as error:
            text = f"{which.engine.name}: {error.cause.text}"
            return json_answer(200, {"removed": False, "text": text})
        _ = await seen(fleet, model, lambda found: lost(found, which))
        return json_answer(200, {"removed": True, "engine": which.engine.name, "model": which.model.name})


def _choose(offers: tuple[Target, ...], name: str | None) -> Target | str:
    """The engine to lose it; or why there is none."""
    if not offers:
        return "no engine has it"
    able = [target for target in offers if adapter_for(target.engine.kind).delete(target.model) is not None]
    if name is not None:
        found = [target for target in able if target.engine.name == name]
        return found[0] if found else f"{clean(name, _LONGEST)} is no engine that has it and deletes models"
    if not able:
        return f"no engine that has it deletes models. {KINDS}"
    if len(able) > 1:
        names = ", ".join(target.engine.name for target in able)
        return f"several engines have it: say which ({names})"
    return able[0]
