"""Permits for tests: made by the real judge, as everywhere."""

from __future__ import annotations

from policies.call import Operation
from policies.decision import Permit
from policies.principal import DEFAULT_SCOPES, Principal, Scope
from tests.policies import asking

CALLER = Principal("ann", "k1", "test", "key", frozenset(), DEFAULT_SCOPES)


def permit(operation: Operation = Operation.CHAT, model: str = "m") -> Permit:
    return asking.permit(asking.question(CALLER, operation, model))


def deleting(operation: Operation = Operation.MODELS_DELETE, model: str = "m") -> Permit:
    """For a change of the stock of models."""
    who = Principal("ann", "k1", "test", "key", frozenset(), frozenset(Scope))
    return asking.permit(asking.question(who, operation, model))
