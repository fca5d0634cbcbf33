"""What the OPAs of a fleet say: which policy they run (`POST /policy/status`), what they decided (`POST /policy/logs`).

What comes in is an OPA's word, believed as far as its key goes: kept in bounds, cleaned for people to read, never acted
upon. OPA sends again what is not answered with 2xx, so an answer is given when everything was handed on, and one event
that means nothing is counted and not refused: it would come back for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from edge.admin.answers import Answer, Ask, json_answer
from edge.admin.bodies import BodyLimits, read_json
from edge.admin.bundles import BundleServer
from edge.admin.pacing import Turns
from edge.policy.active import ActivePolicy
from edge.policy.instances import Instances
from edge.policy.store_types import Instance
from policies.errors import Refusal
from policies.json import JSON, Object, as_object, as_str
from policies.lifecycle.export import BUNDLE
from policies.reasons import Reason
from policies.text import one_line

MOST_AT_ONCE: Final = 8
_ID: Final = 128
_CODE: Final = 64
_MESSAGE: Final = 500
_LABELS: Final = 16
_LABEL: Final = 64
_LABEL_VALUE: Final = 256
_ARRAY: Final = "An array of decision events is expected."
_LABELLED: Final = "A status with labels.id is expected."


class Events(Protocol):
    """Takes decision-log events of OPAs."""

    async def take(self, events: Sequence[JSON]) -> int:
        """Keep `events`; returns how many of them mean something. GatewayError if they cannot be kept."""


class Reports:
    """The three routes. `wall` is seconds since the epoch, `source` says where the policy in force comes from."""

    def __init__(
        self,
        active: ActivePolicy,
        bundles: BundleServer,
        instances: Instances,
        events: Events | None,
        *,
        source: Callable[[], str],
        wall: Callable[[], float],
        limits: BodyLimits | None = None,
    ) -> None:
        self._active = active
        self._bundles = bundles
        self._instances = instances
        self._events = events
        self._source = source
        self._wall = wall
        self._limits = limits or BodyLimits()
        self._turns = Turns(MOST_AT_ONCE)

    async def take_status(self, ask: Ask) -> Answer:
        """Route: remember what one instance runs."""
        with self._turns.take():
            document = await read_json(ask.inbound, self._limits)
        instance = read_status(document, self._wall())
        if instance is None:
            raise Refusal(Reason.INVALID_JSON, hint=_LABELLED)
        await self._instances.seen(instance)
        return json_answer(200, {})

    async def take_logs(self, ask: Ask) -> Answer:
        """Route: hand on decision events."""
        if self._events is None:
            raise Refusal(Reason.UNKNOWN_ROUTE)
        with self._turns.take():
            document = await read_json(ask.inbound, self._limits)
            if not isinstance(document, list):
                raise Refusal(Reason.INVALID_JSON, hint=_ARRAY)
            taken = await self._events.take(document)
        return json_answer(200, {"taken": taken, "ignored": len(document) - taken})

    async def show(self, _: Ask) -> Answer:
        """Route: which policy is in force here, and which one each instance runs."""
        now = self._wall()
        revision = self._active.revision
        instances: list[JSON] = [
            {**each.document(), "current": each.revision == revision, "age_s": round(max(0.0, now - each.seen_at), 1)}
            for each in await self._instances.all()
        ]
        document: Object = {
            "revision": revision,
            "source": self._source(),
            "waiting": self._bundles.waiting,
            "instances": instances,
        }
        return json_answer(200, document)


def read_status(document: JSON, now: float) -> Instance | None:
    """The instance that a status of OPA's tells of; None if it does not say which instance it is."""
    if not isinstance(document, dict):
        return None
    labels = as_object(document.get("labels"))
    instance_id = one_line(as_str(labels.get("id")), _ID)
    if not instance_id:
        return None
    bundle = _our_bundle(as_object(document.get("bundles")))
    return Instance(
        id=instance_id,
        labels=_labels(labels),
        revision=one_line(as_str(bundle.get("active_revision")), _ID),
        seen_at=now,
        code=one_line(as_str(bundle.get("code")), _CODE),
        message=one_line(as_str(bundle.get("message")), _MESSAGE),
    )


def _our_bundle(bundles: Object) -> Object:
    """The bundle of our name, or the only one there is, whatever its name."""
    if BUNDLE in bundles or len(bundles) != 1:
        return as_object(bundles.get(BUNDLE))
    return as_object(next(iter(bundles.values())))


def _labels(labels: Object) -> Object:
    kept = [(name, value) for name, value in sorted(labels.items()) if name != "id" and isinstance(value, str)]
    return {one_line(name, _LABEL): one_line(as_str(value), _LABEL_VALUE) for name, value in kept[:_LABELS]}
