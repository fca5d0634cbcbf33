"""Permits for tests: made by the real judge, as everywhere."""

from __future__ import annotations

from policies.call import Operation
from policies.decision import Permit
from policies.principal import DEFAULT_SCOPES, Principal
from tests.policies import asking

CALLER = Principal("ann", "k1", "test", "key", frozenset(), DEFAULT_SCOPES)


def permit(operation: Operation = Operation.CHAT, model: str = "m") -> Permit:
    return asking.permit(asking.question(CALLER, operation, model))
