"""The routes of the admin listener, which scopes open them, and what those about the policy need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from edge.admin.answers import Route
from edge.admin.bundles import MOST_WAITING, BundleServer
from edge.admin.captures import CAPTURE
from edge.admin.data import PolicyAdmin, PolicyData
from edge.admin.listing import MODELS
from edge.admin.live import LIVE, LIVE_REQUESTS
from edge.admin.metrics import METRICS
from edge.admin.reports import Events, Reports
from edge.policy.active import ActivePolicy
from edge.policy.instances import InstanceMemory, Instances
from policies.principal import Scope

if TYPE_CHECKING:
    from policies.signing import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPlane:
    """What the routes stand on.

    `signer` is `SigningKey(home).signer`, `source` says in a word where the policy in force comes from. Without
    `events` no decision logs are taken, without `admin` data is only shown. `most_waiting` long polls are held at once.
    """

    active: ActivePolicy
    signer: Callable[[], Signer]
    clock: Callable[[], float]
    wall: Callable[[], float]
    source: Callable[[], str]
    instances: Instances = field(default_factory=InstanceMemory)
    events: Events | None = None
    admin: PolicyAdmin | None = None
    most_waiting: int = MOST_WAITING


SCOPES: Final[Mapping[tuple[str, str], Scope]] = MappingProxyType(
    {
        ("GET", "/policy/bundle.tar.gz"): Scope.POLICY_SYNC,
        ("GET", "/policy/public-key.pem"): Scope.POLICY_SYNC,
        ("POST", "/policy/status"): Scope.POLICY_SYNC,
        ("POST", "/policy/logs"): Scope.POLICY_SYNC,
        ("GET", METRICS): Scope.METRICS_READ,
        ("GET", LIVE): Scope.USAGE_READ,
        ("GET", LIVE_REQUESTS): Scope.USAGE_READ,
        ("GET", CAPTURE): Scope.CAPTURE_READ,
        ("GET", MODELS): Scope.USAGE_READ,
    }
)
"""What opens a route beside `admin`. An OPA's host may be anybody's: its key can change nothing."""


def policy_routes(plane: PolicyPlane) -> Mapping[tuple[str, str], Route]:
    """The routes by method and path, for `AdminApi`."""
    bundles = BundleServer(plane.active, plane.signer, clock=plane.clock, most_waiting=plane.most_waiting)
    reports = Reports(plane.active, bundles, plane.instances, plane.events, source=plane.source, wall=plane.wall)
    data = PolicyData(plane.active, plane.admin, source=plane.source)
    return {
        ("GET", "/policy"): data.show,
        ("GET", "/policy/data"): data.read,
        ("PUT", "/policy/data"): data.write,
        ("GET", "/policy/bundle.tar.gz"): bundles.bundle,
        ("GET", "/policy/public-key.pem"): bundles.public_key,
        ("GET", "/policy/status"): reports.show,
        ("POST", "/policy/status"): reports.take_status,
        ("POST", "/policy/logs"): reports.take_logs,
    }
