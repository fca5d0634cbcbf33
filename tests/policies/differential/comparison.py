"""Both engines' answers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policies.bundle import Bundle
from policies.embedded.workshop import inspect
from tests.policies.differential.cases import DATA, SHARED, Case, cases
from tests.policies.differential.engines import REFUSED, by_embedded, by_opa, loads

ACCEPTED = "accepted"
"""The embedded engine takes a text that OPA refuses; it is not evaluated, since it may recurse without end."""
_ENTRY = """package gateway.authz

default allow := false

decision := {"allow": allow}
"""


@dataclass(frozen=True)
class Compared:
    """One case and what the engines made of it."""

    case: Case
    opa: str
    embedded: str

    @property
    def differs(self) -> bool:
        return self.opa != self.embedded


def compared(folder: Path) -> list[Compared]:
    """All cases; the programs' sockets are put into `folder`."""
    opa = by_opa(cases(), folder)
    embedded = by_embedded([case for case in cases() if opa[case.name] != REFUSED], folder)
    for case in cases():
        if opa[case.name] == REFUSED:
            embedded[case.name] = ACCEPTED if loads(case) else REFUSED
    return [Compared(case, opa[case.name], embedded[case.name]) for case in cases()]


async def findings(case: Case) -> list[str]:
    """The errors that `policy check` finds in a case's file, but for inputs that are none of v1."""
    modules = dict([("entry.rego", _ENTRY), SHARED, (case.file, case.module)])
    inspection = await inspect(Bundle(modules, {}, DATA))
    errors = [
        problem for problem in inspection.problems if problem.severity == "error" and problem.code != "unknown_input"
    ]
    return [f"{problem.code}: {problem.message}" for problem in errors]
