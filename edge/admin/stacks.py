"""`POST /stacks/up` and `/stacks/down`: the key of one service of a Compose stack, given and taken.

What the Compose provider (edge/cli/compose) asks. Up again gives the same key: see edge/identity/store/stacks.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from edge.admin.answers import Answer, Ask, Route, json_answer
from edge.admin.fields import Fields, read_fields
from edge.identity import grant as checks
from edge.identity.directory import KeyDirectory
from edge.identity.grant import Grant
from edge.identity.stack import StackService
from edge.identity.state import StateError
from edge.identity.store.stacks import StackKeys
from edge.identity.store.store import KeyManagedError
from policies.errors import Refusal
from policies.json import JSON, Object
from policies.names import is_name
from policies.principal import Quota
from policies.reasons import Reason

_T = TypeVar("_T")

UP: Final = "/stacks/up"
DOWN: Final = "/stacks/down"
_WHICH: Final = frozenset({"project", "service"})
_GRANT: Final = frozenset({"models", "rpm", "tpm", "tpd", "concurrency", "priority", "preset"})
_KNOWN_WITHIN: Final = 2.0
"""Seconds until the data plane knows a new key; it looks five times a second."""
_POLL: Final = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """A listener as those who are told of it may want to call it."""

    name: str
    url: str
    loopback: bool

    @property
    def document(self) -> Object:
        return {"name": self.name, "url": self.url, "loopback": self.loopback}


class Stacks:
    """The two routes. `meaning` gives the canonical name of the model that a name means; `places`, the listeners;
    `presets`, the names of those there are; `now` is seconds since the epoch."""

    def __init__(
        self,
        keys: StackKeys,
        directory: KeyDirectory,
        meaning: Callable[[str], str],
        places: Callable[[], Sequence[Place]],
        *,
        presets: Callable[[], Collection[str]],
        now: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._directory = directory
        self._meaning = meaning
        self._places = places
        self._presets = presets
        self._now = now

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """By method and path, for `AdminApi`."""
        return {("POST", UP): self.up, ("POST", DOWN): self.down}

    async def up(self, ask: Ask) -> Answer:
        """Route: the key, and what its models mean. It works when the answer comes."""
        fields = await read_fields(ask, _WHICH | _GRANT)
        which, grant = _which(fields), self._grant(fields)
        key_id, token, new = await _kept(lambda: self._keys.provide(which, grant))
        await self._known(token.text)
        document: JSON = {
            "id": key_id,
            "key": token.text,
            "name": which.name,
            "owner": which.owner,
            "new": new,
            "means": {model: self._meaning(model) for model in fields.texts("models")},
            "listeners": [place.document for place in self._places()],
        }
        return json_answer(200, document)

    async def down(self, ask: Ask) -> Answer:
        """Route: the key is revoked, if there was one."""
        which = _which(await read_fields(ask, _WHICH))
        ids = await _kept(lambda: self._keys.withdraw(which))
        return json_answer(200, {"revoked": list[JSON](ids)})

    def _grant(self, fields: Fields) -> Grant:
        models = fields.texts("models")
        if not all(map(is_name, models)):
            raise Refusal(Reason.INVALID_PARAMETER, param="models")
        priority = fields.maybe("priority")
        if priority is not None:
            _ = fields.checked("priority", lambda: checks.word(priority))
        count = fields.count
        quota = Quota(count("rpm"), count("tpm"), count("tpd"), count("concurrency"), priority)
        preset = fields.maybe("preset") or ""
        if preset and preset not in self._presets():
            raise Refusal(Reason.INVALID_PARAMETER, param="preset", hint="There is no preset of that name.")
        # Rules are matched against what an alias means, so that is what the key is for.
        meant = tuple(dict.fromkeys(map(self._meaning, models)))
        return fields.checked("models", lambda: Grant("stack", models=meant, quota=quota, preset=preset))

    async def _known(self, text: str) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _KNOWN_WITHIN
        while loop.time() < until:
            try:
                _ = self._directory.authenticate(text, self._now())
            except Refusal:
                await asyncio.sleep(_POLL)
            else:
                return


def _which(fields: Fields) -> StackService:
    project, service = fields.text("project"), fields.text("service")
    return fields.checked("project", lambda: StackService(project, service))


async def _kept(work: Callable[[], _T]) -> _T:
    try:
        return await asyncio.to_thread(work)
    except StateError as error:
        raise Refusal(Reason.INTERNAL, detail=str(error)) from None
    except KeyManagedError as error:
        raise Refusal(Reason.INVALID_PARAMETER, param="service", hint=str(error)) from None
