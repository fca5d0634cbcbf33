"""Wires what admins are answered with: every route of the admin listener, and the parts behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.admin.api import AdminApi
from edge.admin.applying import LifecycleAdmin, lifecycle_of
from edge.admin.captures import CAPTURE, CapturePage
from edge.admin.events import FleetEvents
from edge.admin.listing import Listing
from edge.admin.live import LiveView
from edge.admin.metrics import METRICS, MetricsPage
from edge.admin.models import ModelDesk
from edge.admin.removing import ModelRemoval
from edge.admin.routes import SCOPES, PolicyPlane, policy_routes
from edge.admin.stacks import Place, Stacks
from edge.identity.directory import KeyDirectory
from edge.identity.store.opening import Keys
from edge.identity.store.stacks import StackKeys
from edge.live import Live
from edge.policy.instances import StoredInstances
from edge.policy.opening import DECISIONS, PolicyPart
from edge.policy.signing_key import SigningKey
from edge.shared import Shared
from edge.telemetry import Telemetry
from engines.pulling import Puller
from observability.captures.log import CAPTURES


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the routes stand on. `places` are the listeners of the data plane that are open."""

    shared: Shared
    policy: PolicyPart
    telemetry: Telemetry
    live: Live
    keys: Keys
    directory: KeyDirectory
    puller: Puller
    places: Callable[[], Sequence[Place]]
    home: Path


def admin_api(parts: AdminParts) -> AdminApi:
    """The API of one gateway."""
    shared, policy, telemetry, live, home = parts.shared, parts.policy, parts.telemetry, parts.live, parts.home
    plane = PolicyPlane(
        active=policy.active,
        signer=SigningKey(home).signer,
        clock=shared.clock,
        wall=shared.wall,
        source=policy.origin,
        instances=StoredInstances(policy.source.store),
        events=FleetEvents(policy.fleet_log),
        admin=LifecycleAdmin(lifecycle_of(policy.source, home / DECISIONS), os.urandom),
    )
    page = MetricsPage(telemetry.registry, clock=shared.clock)
    view = LiveView(live, clock=shared.clock)
    return AdminApi(
        authenticator=shared.authenticator,
        routes={
            **policy_routes(plane),
            ("GET", METRICS): page.show,
            ("GET", CAPTURE): CapturePage(home / CAPTURES).show,
            **view.routes,
            **_stacks(parts).routes,
            **Listing(shared.fleet, shared.ways).routes,
            **ModelRemoval(shared).routes,
            **ModelDesk(shared.fleet, parts.puller, shared.pulls).routes,
        },
        scopes=SCOPES,
        observer=shared.observers,
        clock=shared.clock,
        wall=shared.wall,
        inflight=shared.inflight,
    )


def _stacks(parts: AdminParts) -> Stacks:
    fleet = parts.shared.fleet

    def meaning(name: str) -> str:
        """By the catalogue of the moment: there is another whenever an engine's models change."""
        return fleet.catalogue.meaning(name)

    given = StackKeys(parts.keys.database, parts.keys.peppers, time.time)
    presets = parts.shared.presets
    return Stacks(given, parts.directory, meaning, parts.places, presets=lambda: presets.names, now=time.time)
