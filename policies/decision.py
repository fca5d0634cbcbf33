"""May they? A small pure function, and `Permit`: the value without which nothing is sent to an engine.

This is the built-in rule (scopes and model globs of the credential, and where it may be used from). Issue 3 puts the
policy engines behind the same types; the contract stays: anything but a clear yes is a `Denial`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias, final

from policies.call import Operation
from policies.names import canonical, matches
from policies.principal import Network, Principal, Scope
from policies.reasons import Reason

_SEAL: Final = object()


@final
class Permit:
    """Proof that `decide` said yes: `principal` may do `operation` with `model` (canonical; "" where none is meant)."""

    __slots__ = ("model", "operation", "principal")

    def __init__(self, seal: object, principal: Principal, operation: Operation, model: str) -> None:
        if seal is not _SEAL:
            raise TypeError("only policies.decision.decide makes a Permit")
        self.principal = principal
        self.operation = operation
        self.model = model


@dataclass(frozen=True, slots=True)
class Denial:
    """A no, with its reason."""

    reason: Reason


Verdict: TypeAlias = Permit | Denial

NEEDS: Final[dict[Operation, Scope | None]] = {
    Operation.CHAT: Scope.INFERENCE,
    Operation.COMPLETIONS: Scope.INFERENCE,
    Operation.EMBEDDINGS: Scope.INFERENCE,
    Operation.MODELS_LIST: Scope.MODELS_READ,
    Operation.MODELS_SHOW: Scope.MODELS_READ,
    Operation.ME: None,
}
_NO_MODEL: Final = frozenset({Operation.MODELS_LIST, Operation.ME})


def decide(principal: Principal, operation: Operation, model: str | None, *, ip: str, listener: str) -> Verdict:
    """Decide one request.

    `model` is the canonical name of a model the catalogue knows, or None for an unknown one: the denial is the same, so
    that a caller cannot tell a hidden model from a missing one. `ip` is the socket's real peer.
    """
    if not _place_ok(principal, ip, listener):
        return Denial(Reason.PLACE_NOT_PERMITTED)
    need = NEEDS[operation]
    if need is not None and need not in principal.scopes:
        return Denial(Reason.SCOPE_MISSING)
    if operation in _NO_MODEL:
        return Permit(_SEAL, principal, operation, "")
    if not model or not may_use(principal, model):
        return Denial(Reason.MODEL_NOT_PERMITTED)
    return Permit(_SEAL, principal, operation, model)


def may_use(principal: Principal, model: str) -> bool:
    """Whether one of the principal's globs covers canonical `model`."""
    name = canonical(model)
    return any(matches(pattern, name) for pattern in principal.models)


def _place_ok(principal: Principal, ip: str, listener: str) -> bool:
    if principal.listeners and listener not in principal.listeners:
        return False
    return not principal.networks or within(ip, principal.networks)


def within(ip: str, networks: Iterable[Network]) -> bool:
    """Whether address `ip` lies in one of `networks`; an IPv4-mapped IPv6 address counts as the IPv4 one it is."""
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in networks)
