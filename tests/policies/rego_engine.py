"""The embedded engine in this process, for tests that ask it thousands of questions: no child, no socket."""

from __future__ import annotations

import json

import regorus

from policies.bundle import Bundle
from policies.json import JSON, Object
from policies.result import Decision, read_decision


class InProcess:
    """One policy; belongs to the thread that made it."""

    def __init__(self, bundle: Bundle) -> None:
        self._engine = regorus.Engine()
        for name, text in bundle.modules.items():
            self._engine.add_policy(name, text)
        self._engine.add_data_json(json.dumps({"gwcfg": bundle.data}))

    def value(self, rule: str, document: Object) -> JSON:
        """The value of a rule, given as a full path, for the input `document`."""
        self._engine.set_input_json(json.dumps(document))
        found: JSON = json.loads(self._engine.eval_rule_as_json(rule))
        return found

    def decide(self, document: Object) -> Decision:
        """The decision on the input `document`."""
        return read_decision(self.value("data.gateway.authz.decision", document))
