"""The one error of the policy tools."""

from __future__ import annotations


class PolicyToolError(Exception):
    """What was asked cannot be done. One line: what is wrong, then what to do about it.

    `usage` tells a mistake in what was asked (a name that means nothing) from a no (a test that fails, say).
    """

    def __init__(self, problem: str, step: str, *, usage: bool = False) -> None:
        super().__init__(f"{problem}: {step}")
        self.problem = problem
        self.step = step
        self.usage = usage


class PolicyMoved(PolicyToolError):
    """Another policy came into force between the moment somebody looked and the moment they applied."""


class NewAccess(PolicyToolError):
    """The candidate allows what the policy in force denied, and nobody confirmed that this is meant."""
