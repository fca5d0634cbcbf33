"""Only a clear yes makes a Permit."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from policies.call import Operation
from policies.decision import Denial, Permit, decide
from policies.principal import DEFAULT_SCOPES, Principal, Scope
from policies.reasons import Reason


def principal(
    *,
    models: tuple[str, ...] = ("*",),
    scopes: frozenset[Scope] = DEFAULT_SCOPES,
    networks: tuple[str, ...] = (),
    listeners: frozenset[str] = frozenset(),
) -> Principal:
    return Principal(
        id="ann",
        key_id="k1",
        name="ann",
        auth="key",
        groups=frozenset(),
        scopes=scopes,
        models=models,
        networks=tuple(ip_network(n) for n in networks),
        listeners=listeners,
    )


def reason(who: Principal, operation: Operation, model: str | None, ip: str = "127.0.0.1") -> Reason | None:
    verdict = decide(who, operation, model, ip=ip, listener="local")
    return verdict.reason if isinstance(verdict, Denial) else None


def test_a_permit_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Permit(object(), principal(), Operation.CHAT, "tiny")


def test_a_permit_carries_what_was_decided() -> None:
    verdict = decide(principal(), Operation.CHAT, "tiny", ip="::1", listener="local")
    assert isinstance(verdict, Permit)
    assert (verdict.model, verdict.operation, verdict.principal.id) == ("tiny", Operation.CHAT, "ann")


@pytest.mark.parametrize(
    ("who", "operation", "model", "expected"),
    [
        (principal(), Operation.CHAT, "tiny", None),
        (principal(), Operation.CHAT, None, Reason.MODEL_NOT_PERMITTED),
        (principal(), Operation.CHAT, "", Reason.MODEL_NOT_PERMITTED),
        (principal(models=("qwen*",)), Operation.CHAT, "tiny", Reason.MODEL_NOT_PERMITTED),
        (principal(models=()), Operation.CHAT, "tiny", Reason.MODEL_NOT_PERMITTED),
        (principal(models=("AI/Tiny:latest",)), Operation.CHAT, "tiny", None),
        (principal(scopes=frozenset()), Operation.CHAT, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.ADMIN})), Operation.CHAT, "tiny", Reason.SCOPE_MISSING),
        (principal(scopes=frozenset({Scope.INFERENCE})), Operation.MODELS_LIST, None, Reason.SCOPE_MISSING),
        (principal(scopes=frozenset()), Operation.ME, None, None),
        (principal(), Operation.MODELS_LIST, None, None),
        (principal(listeners=frozenset({"lan"})), Operation.ME, None, Reason.PLACE_NOT_PERMITTED),
    ],
)
def test_the_table(who: Principal, operation: Operation, model: str | None, expected: Reason | None) -> None:
    assert reason(who, operation, model) is expected


@pytest.mark.parametrize(
    ("network", "ip", "inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "::1", False),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "not an address", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_a_bound_key_works_only_in_its_networks(network: str, ip: str, *, inside: bool) -> None:
    expected = None if inside else Reason.PLACE_NOT_PERMITTED
    assert reason(principal(networks=(network,)), Operation.CHAT, "tiny", ip) is expected
