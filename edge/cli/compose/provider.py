"""`up` and `down` of one service of a stack.

Up: is the model there (may it be fetched)? -> the key -> may it use the model? -> variables for those who depend on it.
Nothing is touched before the model is there; a key that turns out to be of no use is taken back.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import orjson

from edge.cli.compose.messages import Messages
from edge.cli.compose.place import Place, State
from edge.cli.live.client import AdminClient, Away, Refused
from edge.identity.stack import StackService
from policies.json import JSON, Object, as_list, as_object, as_str
from policies.names import canonical
from policies.principal import Scope
from policies.reasons import Reason

_PULL_SILENCE: Final = 900.0
"""Seconds without a line: an engine that verifies what it fetched says nothing for a while."""
_ANSWER: Final = 5.0
_LARGEST: Final = 1 << 22
_ELSEWHERE: Final = {Reason.PLACE_NOT_PERMITTED.value}
"""The door is not this machine's: it says nothing of the model."""
_HOST: Final = "host.docker.internal"
_LIMITS: Final = {"rpm": "requests a minute", "tpm": "tokens a minute", "tpd": "tokens a day", "concurrency": "at once"}
_PRESET: Final = "preset"


class Failed(Exception):
    """It cannot be done; the text is for Compose's user."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the Compose file says: `limits` by their names in /stacks/up."""

    models: Sequence[str]
    limits: Mapping[str, int | str | None]
    pull: bool = False
    engine: str | None = None
    url: str | None = None
    check: bool = True
    openai_env: bool = True


def up(which: StackService, asked: Asked, place: Place, say: Messages) -> None:
    """Failed, StateError."""
    if place.state is not None and not place.state.running:
        raise Failed(_nobody(place))  # whoever listens there now is a stranger, and gets no admin's key
    with place.access as access:
        client = AdminClient(place.where, access, scope=Scope.ADMIN)
        try:
            key, doors = _given(client, which, asked, place, say)
        except Away:
            raise Failed(_nobody(place)) from None
        except Refused as error:
            raise Failed(str(error)) from None
    _tell(which, asked, asked.url or address_of(doors), key, say)


def _given(
    client: AdminClient, which: StackService, asked: Asked, place: Place, say: Messages
) -> tuple[str, list[Object]]:
    """The key, and the gateway's listeners."""
    for model in asked.models:
        _ensure(client, model, asked, say)
    given = client.post("/stacks/up", _document(which) | {"models": [*asked.models], **asked.limits})
    key, doors = as_str(given.get("key")), [as_object(each) for each in as_list(given.get("listeners"))]
    if not key:
        raise Failed(f"what listens on {place.where} is no gateway of this kind")
    if asked.check and place.state is not None and (problem := _of_no_use(key, doors, as_object(given.get("means")))):
        if given.get("new") is True:
            _ = client.post("/stacks/down", _document(which))
        raise Failed(problem)
    return key, doors


def down(which: StackService, place: Place, say: Messages) -> None:
    """Failed, StateError. Where the state folder is ours no gateway need be running."""
    revoked = _withdraw(which, place.state) if place.state else _ask_down(which, place)
    say.info("key revoked" if revoked else "there was no key")


def _withdraw(which: StackService, state: State) -> bool:
    from edge.identity.store.opening import open_keys  # SQLAlchemy: 200 ms
    from edge.identity.store.stacks import StackKeys

    url = state.settings.stores.database
    if url is None and not (state.home / "gateway.db").exists():
        return False
    keys = open_keys(state.home, url)
    with closing(keys.store):
        return bool(StackKeys(keys.database, keys.peppers, time.time).withdraw(which))


def _ask_down(which: StackService, place: Place) -> bool:
    with place.access as access:
        client = AdminClient(place.where, access, scope=Scope.ADMIN)
        try:
            return bool(as_list(client.post("/stacks/down", _document(which)).get("revoked")))
        except Away:
            raise Failed(f"{_nobody(place)}; its key is not revoked") from None
        except Refused as error:
            raise Failed(str(error)) from None


def _ensure(client: AdminClient, model: str, asked: Asked, say: Messages) -> None:
    """Wait until the model is there, telling how far it is."""
    say.info(f"looking for {model}")
    wanted: Object = {"model": model, "pull": asked.pull, "engine": asked.engine}
    for line in client.post_lines("/models/ensure", wanted, _PULL_SILENCE):
        match line.get("event"):
            case "present":
                return
            case "pulling":
                say.info(f"{as_str(line.get('engine'))} fetches {model}: {line.get('percent')}%")
            case "missing":
                hint = "" if asked.pull else " (`pull: true` has an engine fetch it)"
                raise Failed(f"model {model}: {as_str(line.get('text'))}{hint}")
            case _:
                continue


def _of_no_use(key: str, doors: Sequence[Object], means: Object) -> str:
    """Why the key may not use a model, asked of the door itself, with the key, as the service will; "" if it may, or if
    no door tells. `means`: each model that is asked for, and what it means, which a listing has without presets.

    A policy that says no to this machine and yes to containers needs `check: false`.
    """
    shown = _shown(key, doors)
    missing = [] if shown is None else [model for model, meant in means.items() if meant not in shown]
    if not missing:
        return ""
    return f"the gateway's policy does not let this stack use {', '.join(missing)} (`check: false` does not ask)"


def _shown(key: str, doors: Sequence[Object]) -> set[str] | None:
    """The canonical names that `GET /v1/models` lists for `key`; None if no door tells."""
    for door in doors:
        url = urlsplit(as_str(door.get("url")))
        if url.scheme != "http" or not url.hostname or not url.port:
            continue
        with closing(http.client.HTTPConnection(url.hostname, url.port, timeout=_ANSWER)) as connection:
            try:
                connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
                response = connection.getresponse()
                document: JSON = orjson.loads(response.read(_LARGEST))
            except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
                continue
            found = as_object(document)
            if response.status == HTTPStatus.OK:
                return {canonical(as_str(as_object(entry).get("id"))) for entry in as_list(found.get("data"))}
            if response.status == HTTPStatus.FORBIDDEN and as_object(found.get("error")).get("code") not in _ELSEWHERE:
                return set()
    return None


def address_of(doors: Sequence[Object]) -> str:
    """How containers reach the host's gateway: by a door without TLS, since they do not know its authority; by one that
    others than this machine can reach, if there is one (Docker Desktop takes containers to the host's loopback as well,
    Docker on Linux does not)."""
    found = [(urlsplit(as_str(door.get("url"))), door.get("loopback") is True) for door in doors]
    usable = sorted((url.scheme != "http", loopback, n) for n, (url, loopback) in enumerate(found) if url.port)
    if not usable:
        raise Failed("the gateway tells of no listener: say where it is with option `url`")
    url, _ = found[usable[0][-1]]
    return f"{url.scheme}://{_HOST}:{url.port}/v1"


def _tell(which: StackService, asked: Asked, url: str, key: str, say: Messages) -> None:
    limits = [f"{asked.limits[name]} {words}" for name, words in _LIMITS.items() if asked.limits.get(name) is not None]
    if preset := asked.limits.get(_PRESET):
        limits.append(f"preset {preset}")
    say.info(f"key {which.name} for {', '.join(asked.models)}: {', '.join(limits) or 'no limits of its own'}")
    for name, value in (("URL", url), ("BASE_URL", url), ("MODEL", asked.models[0]), ("API_KEY", key)):
        say.set(name, value)
    if asked.openai_env:
        say.set_as_it_is("OPENAI_BASE_URL", url)
        say.set_as_it_is("OPENAI_API_KEY", key)


def _document(which: StackService) -> Object:
    return {"project": which.project, "service": which.service}


def _nobody(place: Place) -> str:
    whose = f" (LLM_GATEWAY_HOME is {place.state.home})" if place.state else ""
    return (
        f"no gateway answers on {place.where}{whose}: start it with `llm-gateway up`, or say where it is with "
        "LLM_GATEWAY_ADMIN_URL and LLM_GATEWAY_ADMIN_KEY"
    )
