"""The answers that are the gateway's own: health, `/v1/me`, model listings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final

import orjson

from edge.capturing import NO_CAPTURES, Foreseen, most_of
from edge.dialects.anthropic.models import model_info, model_page
from edge.dialects.model_runner.models import Tagged, listing, one
from edge.dialects.ollama import models as ollama
from edge.dialects.openai import model_document, model_list
from edge.intake.routes import Route
from edge.limits import words
from edge.limits.standing import Filled, Standing
from engines.catalogue import Catalogue, Entry
from policies.call import Dialect, Form, Operation
from policies.decision import Permit, may_use
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.principal import Principal
from policies.reasons import Reason

_UNKNOWN: Final = "What is used and left is not known: the store that counts it does not answer. Ask again later."
_UNLOADED: Final[Callable[[str], float]] = lambda _: 0.0  # noqa: E731 - one constant answer


def health(*, draining: bool) -> bytes:
    """`GET /healthz`: is this process there; needs no key and tells nothing else."""
    return b'{"status":"draining"}' if draining else b'{"status":"ok"}'


def visible(permit: Permit, route: Route, catalogue: Catalogue) -> list[Entry]:
    """The models and then the aliases that the permitted caller is shown on that route."""
    entries = (*catalogue.models(), *catalogue.aliases())
    shown = [entry for entry in entries if permit.shows(entry.name)]
    if route.engine is not None:
        shown = [entry for entry in shown if catalogue.resolve(entry.name, route.engine)]
    return shown


def answer(
    permit: Permit,
    route: Route,
    visible: Sequence[Entry],
    *,
    now: float,
    standing: Standing | None = None,
    captures: Foreseen = NO_CAPTURES,
    left: Callable[[str], float] = _UNLOADED,
    presets: Collection[str] = (),
    dialects: Object | None = None,
) -> bytes:
    """The document of an own route for the permitted caller, of the `visible` models; `now` is seconds since the epoch.

    `standing`: how full its limits are, for `/v1/me`; None = nobody knows. `captures`: what would be captured.
    `left`: for how many seconds a model stays loaded. `presets`: the names of those there are. `dialects`: how the one
    model that is asked for is served in each.
    """
    if tells_who(route):
        return orjson.dumps(me(permit, visible, now=now, standing=standing, captures=captures))
    if route.dialect is Dialect.OLLAMA:
        return _ollama(permit, route, visible, now=now, left=left)
    if route.dialect is Dialect.MODEL_RUNNER:
        return _model_runner(permit, route, visible)
    anthropic = route.dialect is Dialect.ANTHROPIC
    documents = [
        model_info(entry.id, entry.created) if anthropic else model_document(entry.id, entry.created, entry.engines[0])
        for entry in visible
    ]
    if permit.operation is Operation.MODELS_LIST:
        return orjson.dumps(model_page(documents) if anthropic else model_list(documents))
    for entry, document in zip(visible, documents, strict=True):
        if entry.name == permit.model:
            more: Object = {} if anthropic or not presets else {"presets": _list(sorted(presets))}
            more |= {} if dialects is None else {"dialects": dialects}
            return orjson.dumps({**document, **more, "id": route.model})
    raise Refusal(Reason.MODEL_NOT_PERMITTED)


def tells_who(route: Route) -> bool:
    """Whether the answer is what `/v1/me` says."""
    return route.operation is Operation.ME and route.form is Form.ONLY


def media_type(route: Route) -> str:
    """Of the answer."""
    return "text/plain; charset=utf-8" if route.form is Form.BANNER else "application/json"


def _ollama(
    permit: Permit, route: Route, visible: Sequence[Entry], *, now: float, left: Callable[[str], float]
) -> bytes:
    shown = [ollama.Shown(entry.id, entry.name, entry.created, entry.context) for entry in visible]
    if route.form is Form.BANNER:
        return ollama.BANNER
    if route.form is Form.VERSION:
        return orjson.dumps(ollama.version())
    if route.form is Form.LOADED:
        return orjson.dumps(ollama.loaded(shown, left, now))
    if permit.operation is Operation.MODELS_LIST:
        return orjson.dumps(ollama.tags(shown))
    model = next((model for model in shown if model.identity == permit.model), None)
    if model is None:
        raise Refusal(Reason.MODEL_NOT_PERMITTED)
    return orjson.dumps(ollama.show(replace(model, name=route.model)))


def _model_runner(permit: Permit, route: Route, visible: Sequence[Entry]) -> bytes:
    shown = [Tagged(entry.name, entry.id, entry.created, entry.context) for entry in visible]
    if permit.operation is Operation.MODELS_LIST:
        return orjson.dumps(listing(shown))
    model = next((model for model in shown if model.identity == permit.model), None)
    if model is None:
        raise Refusal(Reason.MODEL_NOT_PERMITTED)
    return orjson.dumps(one(replace(model, tag=route.model)))


def candidates(principal: Principal, catalogue: Catalogue) -> tuple[str, ...]:
    """The canonical names that a listing could show to `principal`: what the policy is asked to choose from."""
    entries = (*catalogue.models(), *catalogue.aliases())
    return tuple(sorted({entry.name for entry in entries if may_use(principal, entry.name)}))


def me(
    permit: Permit,
    visible: Sequence[Entry],
    *,
    now: float,
    standing: Standing | None = None,
    captures: Foreseen = NO_CAPTURES,
) -> Object:
    """`GET /v1/me`: who am I, what may I use, what is left."""
    principal = permit.principal
    quota = principal.quota
    limits: Object = {
        "rpm": quota.rpm,
        "tpm": quota.tpm,
        "tpd": quota.tpd,
        "concurrency": quota.concurrency,
        "priority": quota.priority,
        **_left(standing, visible),
    }
    left = None if principal.expires_at is None else max(0, round(principal.expires_at - now))
    return {
        "object": "me",
        "id": principal.id,
        "name": principal.name,
        "device": principal.device or None,
        "key_id": principal.key_id,
        "auth": principal.auth,
        "groups": _list(sorted(principal.groups)),
        "scopes": _list(sorted(scope.value for scope in principal.scopes)),
        "models": _list(entry.id for entry in visible),
        "model_globs": _list(principal.models),
        "networks": _list(str(network) for network in principal.networks),
        "listeners": _list(sorted(principal.listeners)),
        "preset": principal.preset or None,
        "limits": limits,
        "expires_in": left,
        **_captures(captures),
    }


def _captures(foreseen: Foreseen) -> Object:
    """`capture` is the most of what any model's requests are captured by; the rest says which. `unknown`: the policy
    did not say, so it may be anything."""
    levels: list[JSON] = [{"model": name, "capture": level} for name, level in foreseen.models.items()]
    return {"capture": most_of(foreseen.models.values()), "captures": levels, "captures_left_out": foreseen.left_out}


def _left(standing: Standing | None, visible: Sequence[Entry]) -> Object:
    """The same members whether or not it is known; `note` is null exactly if it is."""
    if standing is None:
        return {"windows": None, "seats": None, "models": None, "models_left_out": None, "note": _UNKNOWN}
    spelt = {entry.name: entry.id for entry in reversed(visible)}  # the first of a name is the model, not an alias
    models: list[JSON] = [{"model": spelt.get(name, name), **_filled(own)} for name, own in standing.models]
    return {**_filled(standing.all), "models": models, "models_left_out": standing.left_out, "note": None}


def _filled(filled: Filled) -> Object:
    return {"windows": words.document(filled.windows), "seats": words.seats_document(filled.seats)}


def _list(texts: Iterable[str]) -> list[JSON]:
    return list(texts)
