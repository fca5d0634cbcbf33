"""The answers that are the gateway's own: health, `/v1/me`, model listings. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from edge.dialects.openai import model_document, model_list
from edge.intake.routes import Route
from edge.limits import words
from edge.limits.contract import Level
from engines.catalogue import Catalogue, Entry
from policies.call import Operation
from policies.decision import Permit, may_use
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.principal import Principal
from policies.reasons import Reason


def health(*, draining: bool) -> bytes:
    """`GET /healthz`: is this process there; needs no key and tells nothing else."""
    return b'{"status":"draining"}' if draining else b'{"status":"ok"}'


def answer(permit: Permit, route: Route, catalogue: Catalogue, *, now: float, levels: Sequence[Level] = ()) -> bytes:
    """The document of an own route for the permitted caller; `now` is seconds since the epoch, `levels` its limits."""
    entries = (*catalogue.models(), *catalogue.aliases())
    visible = [entry for entry in entries if permit.shows(entry.name)]
    if route.engine is not None:
        visible = [entry for entry in visible if catalogue.resolve(entry.name, route.engine)]
    if permit.operation is Operation.ME:
        return orjson.dumps(me(permit, visible, now=now, levels=levels))
    documents = [model_document(entry.id, entry.created, entry.engines[0]) for entry in visible]
    if permit.operation is Operation.MODELS_LIST:
        return orjson.dumps(model_list(documents))
    for entry, document in zip(visible, documents, strict=True):
        if entry.name == permit.model:
            return orjson.dumps({**document, "id": route.model})
    raise Refusal(Reason.MODEL_NOT_PERMITTED)


def candidates(principal: Principal, catalogue: Catalogue) -> tuple[str, ...]:
    """The canonical names that a listing could show to `principal`: what the policy is asked to choose from."""
    entries = (*catalogue.models(), *catalogue.aliases())
    return tuple(sorted({entry.name for entry in entries if may_use(principal, entry.name)}))


def me(permit: Permit, visible: list[Entry], *, now: float, levels: Sequence[Level] = ()) -> Object:
    """`GET /v1/me`: who am I, what may I use, what is left."""
    principal = permit.principal
    quota = principal.quota
    limits: Object = {
        "rpm": quota.rpm,
        "tpm": quota.tpm,
        "tpd": quota.tpd,
        "concurrency": quota.concurrency,
        "priority": quota.priority,
        "windows": words.document(levels),
    }
    left = None if principal.expires_at is None else max(0, round(principal.expires_at - now))
    return {
        "object": "me",
        "id": principal.id,
        "name": principal.name,
        "key_id": principal.key_id,
        "auth": principal.auth,
        "groups": _list(sorted(principal.groups)),
        "scopes": _list(sorted(scope.value for scope in principal.scopes)),
        "models": _list(entry.id for entry in visible),
        "model_globs": _list(principal.models),
        "networks": _list(str(network) for network in principal.networks),
        "listeners": _list(sorted(principal.listeners)),
        "limits": limits,
        "expires_in": left,
        "capture": permit.obligations.capture,
    }


def _list(texts: Iterable[str]) -> list[JSON]:
    return list(texts)
