"""Permits for tests: made by the real decision, as everywhere."""

from __future__ import annotations

from policies.call import Operation
from policies.decision import Permit, decide
from policies.principal import DEFAULT_SCOPES, Principal

CALLER = Principal("ann", "k1", "test", "key", frozenset(), DEFAULT_SCOPES)


def permit(operation: Operation = Operation.CHAT, model: str = "m") -> Permit:
    verdict = decide(CALLER, operation, model, ip="127.0.0.1", listener="local")
    assert isinstance(verdict, Permit)
    return verdict
