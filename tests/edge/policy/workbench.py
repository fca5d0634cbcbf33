"""A workshop in this process, with the real Rego engine and policies that cannot hurt: the life cycle's test double."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import regorus

from edge.policy.lifecycle import PolicyLifecycle
from edge.policy.lifecycle_workshop import Running
from edge.policy.source import PolicySource
from observability.decisions.log import DecisionLog
from observability.decisions.settings import DecisionLogSettings
from policies.bundle import Bundle
from policies.embedded.findings import EVERYTHING, CaseResult, Inspection, Problem, TestReport
from policies.engine import PolicyFault
from policies.json import JSON, Object
from policies.record import Record
from tests.edge.policy.fixtures import NOW, Clock, open_policies

TEXT = """package gateway.authz

import rego.v1

decision := {"allow": allow, "reasons": reasons, "obligations": {}, "grants": [], "revision": ""}

default allow := false

allow if input.model.resolved in data.gwcfg.models

reasons := [] if allow

reasons := [{"code": "not_listed", "message": "", "public": false}] if not allow
"""


def policy(*models: str, test: str = "# holds\n", comment: str = "") -> Bundle:
    """A policy that allows `models`; its tests fail if `test` says so."""
    listed: list[JSON] = [*models]
    return Bundle({"access.rego": TEXT + comment}, {"access_test.rego": test}, {"models": listed})


def record(number: int, model: str, *, allow: bool, revision: str = "") -> Record:
    """A decision about `model` as `policy` would have taken it."""
    reasons: list[JSON] = [] if allow else [{"code": "not_listed", "message": "", "public": False}]
    result: Object = {"allow": allow, "reasons": reasons, "obligations": {}, "grants": [], "revision": ""}
    given: Object = {
        "caller": {"id": "ann", "groups": []},
        "key": {"id": "k1", "name": "ci", "scopes": ["inference"], "patterns": ["^.*$"]},
        "model": {"requested": model, "resolved": model},
        "operation": "chat",
    }
    reason = "" if allow else "model_not_permitted"
    return Record(f"req-{number}", NOW + number, given, result, allow, reason, "", revision, "embedded", 100)


def write(folder: Path, *records: Record) -> Path:
    """A decision log with `records`."""
    log = DecisionLog(folder, DecisionLogSettings(), now=Clock())
    for each in records:
        log.write(each)
    log.close()
    return folder


class Engine:
    """One policy that runs."""

    def __init__(self, bundle: Bundle) -> None:
        self._engine = regorus.Engine()
        for name, text in bundle.modules.items():
            self._engine.add_policy(name, text)
        self._engine.add_data_json(orjson.dumps({"gwcfg": bundle.data}).decode())

    async def evaluate(self, document: bytes) -> JSON:
        return self._rule(document, "decision")

    async def rules(self, document: bytes) -> JSON:
        return {name: self._rule(document, name) for name in ("allow", "reasons", "decision")}

    async def evaluate_many(self, documents: Sequence[bytes]) -> list[JSON | PolicyFault]:
        answers: list[JSON | PolicyFault] = []
        for document in documents:
            try:
                answers.append(self._rule(document, "decision"))
            except PolicyFault as fault:
                answers.append(fault)
        return answers

    def _rule(self, document: bytes, name: str) -> JSON:
        self._engine.set_input_json(document.decode())
        try:
            found: JSON = orjson.loads(self._engine.eval_rule_as_json(f"data.gateway.authz.{name}"))
        except RuntimeError as error:
            raise PolicyFault(str(error).strip().splitlines()[0]) from None
        return found


class Workbench:
    """Compiles for real; tests fail where their text says `fails`. `meanwhile` runs while tests do."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.inspected: list[Bundle] = []

    async def inspect(self, bundle: Bundle) -> Inspection:
        self.inspected.append(bundle)
        try:
            Engine(bundle)
        except RuntimeError:
            return Inspection((Problem("access.rego", 3, 1, "syntax", "cannot be read", "error"),), EVERYTHING)
        return Inspection((Problem("access.rego", 1, 1, "untested", "say so", "warning"),), EVERYTHING)

    async def run_tests(self, bundle: Bundle) -> TestReport:
        self.meanwhile()
        passed = all("fails" not in text for text in bundle.tests.values())
        case = CaseResult("test_x", "access_test.rego", 3, passed, "", 100)
        return TestReport((case,), 1.0, (), 100, ())

    @asynccontextmanager
    async def running(self, bundle: Bundle) -> AsyncIterator[Running]:
        yield Engine(bundle)


def lifecycle(
    home: Path,
    *,
    default: Bundle | None = None,
    configured: Object | None = None,
    folder: Path | None = None,
    folders: bool = True,
    bench: Workbench | None = None,
) -> PolicyLifecycle:
    """A life cycle on the database and decision log in `home`."""
    source = PolicySource(open_policies(home), default or policy("a"), configured=configured, folder=folder)
    return PolicyLifecycle(source, home / "decisions", workshop=bench or Workbench(), folders=folders)
